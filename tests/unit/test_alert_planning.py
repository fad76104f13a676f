"""Maintenance windows and inhibition in a rules file."""

import pytest

from inferwatch_streams.alerts.matcher import Matcher
from inferwatch_streams.alerts.planned import PROPERTIES, planned
from inferwatch_streams.alerts.settings import AlertSettings
from inferwatch_streams.configuration.file import ConfigurationFile
from inferwatch_streams.errors import ConfigurationError

SCHEMA = {"type": "object", "properties": PROPERTIES}
TEXT = """
maintenance:
  - name: patching
    matchers: ['service=chat']
    weekdays: [sunday]
    from: 22:00
    to: "02:00"
    time_zone: Europe/Berlin
inhibitions:
  - source: [severity=critical]
    target: ['severity=~low|medium']
    equal: [service]
"""


def test_a_file_says_what_is_planned() -> None:
    """Both sections may be left out."""
    settings = planned(ConfigurationFile("rules.yaml", TEXT, SCHEMA))
    assert [each.silence_id for each in settings.maintenance] == ["maintenance/patching"]
    (inhibition,) = settings.inhibitions
    assert inhibition.target == (Matcher("severity", "=~", "low|medium"),)
    assert inhibition.equal == ("service",)
    assert planned(ConfigurationFile("rules.yaml", "{}", SCHEMA)) == AlertSettings()


def test_what_is_wrong_is_told_with_its_line() -> None:
    """Everything at once, as with rules."""
    text = TEXT.replace("service=chat", "service chat").replace("low|medium", "(")
    again = "  - {name: patching, matchers: [a=b], from: '01:00', to: '02:00'}\ninhibitions:"
    with pytest.raises(ConfigurationError) as told:
        planned(ConfigurationFile("rules.yaml", text.replace("inhibitions:", again), SCHEMA))
    lines = [line.partition(" ")[0] for line in str(told.value).splitlines()]
    assert lines == [
        "rules.yaml:3:", "rules.yaml:9:", "rules.yaml:11:"
    ]  # fmt: skip
    assert "maintenance[1].name: 'patching' is the name of another, too" in str(told.value)
