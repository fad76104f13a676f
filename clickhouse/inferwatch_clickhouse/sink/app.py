"""For Faust's own command: ``faust -A inferwatch_clickhouse.sink.app worker``."""

from __future__ import annotations

import os

from inferwatch_clickhouse.errors import ClickHouseError
from inferwatch_clickhouse.sink.factory import create_app
from inferwatch_clickhouse.sink.rehearsal import rehearse
from inferwatch_clickhouse.sink.settings import SinkSettings
from inferwatch_schemas.columnar.warm_up import warm_up
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.health import Health
from inferwatch_schemas.memory import keep_freed_memory
from inferwatch_schemas.prometheus import serve_metrics_from

keep_freed_memory()
try:
    app = create_app(SinkSettings.from_environment(os.environ))
    health = Health(app.watchdog)
    health.beat_on(app.loop)
    serve_metrics_from(os.environ, health)
    warm_up(rehearse)
except (ClickHouseError, SchemasError) as error:
    raise SystemExit(str(error)) from error
