"""``python -m inferwatch``: the same as the program ``inferwatch``."""

from inferwatch.main import run

run()
