"""For Faust's own command: ``faust -A inferwatch_clickhouse.sink.app worker``."""

from __future__ import annotations

import os

from inferwatch_clickhouse.sink.factory import create_app
from inferwatch_clickhouse.sink.settings import SinkSettings

app = create_app(SinkSettings.from_environment(os.environ))
