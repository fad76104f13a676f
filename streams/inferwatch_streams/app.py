"""For Faust's own command: ``faust -A inferwatch_streams.app worker``, set by the environment."""

from __future__ import annotations

import os

from inferwatch_streams.factory import create_app
from inferwatch_streams.settings import AggregationSettings

app = create_app(AggregationSettings.from_environment(os.environ))
