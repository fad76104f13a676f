"""For Faust's own command: ``faust -A inferwatch_streams.rules_worker.app worker``."""

from __future__ import annotations

import os

from inferwatch_schemas.columnar.warm_up import warm_up
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.health import Health
from inferwatch_schemas.memory import keep_freed_memory
from inferwatch_schemas.prometheus import serve_metrics_from
from inferwatch_streams.errors import StreamsError
from inferwatch_streams.rules_worker.factory import create_app
from inferwatch_streams.rules_worker.rehearsal import rehearse
from inferwatch_streams.rules_worker.settings import RulesSettings

keep_freed_memory()
try:
    app = create_app(RulesSettings.from_environment(os.environ))
    health = Health(app.watchdog)
    health.beat_on(app.loop)
    serve_metrics_from(os.environ, health)
    warm_up(rehearse)
except (SchemasError, StreamsError) as error:
    raise SystemExit(str(error)) from error
