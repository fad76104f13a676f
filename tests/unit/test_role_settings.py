"""Settings of the roles rules, incidents and notifications, from variables."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from inferwatch_streams.errors import StreamsSettingsError
from inferwatch_streams.incidents.settings import IncidentsSettings
from inferwatch_streams.notifications.settings import NotificationsSettings
from inferwatch_streams.rules_worker.settings import RulesSettings

SETTINGS = (IncidentsSettings, NotificationsSettings, RulesSettings)
Settings = type[IncidentsSettings | NotificationsSettings | RulesSettings]


def prefix(settings: Settings) -> str:
    """What its variables begin with."""
    return f"INFERWATCH_{settings.__name__.removesuffix('Settings').upper()}"


@pytest.mark.parametrize("settings", SETTINGS)
def test_each_field_has_its_variable(settings: Settings) -> None:
    """What is set is read, under the name of its field; what is not has its default."""
    assert settings.from_environment({}) == settings()
    names = [each.name for each in fields(settings) if each.name not in ("kafka", "registry_url")]
    given = {f"{prefix(settings)}_{name.upper()}": "4096" for name in names}
    found = settings.from_environment({**given, "INFERWATCH_REGISTRY_URL": "http://r"})
    special = {"file": Path("4096"), "group": "4096"}
    assert {name: getattr(found, name) for name in names} == {
        name: special.get(name, 4096) for name in names
    }
    assert found.registry_url == "http://r"


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("GROUP", "", "is empty; name a consumer group."),
        ("TICK_SECONDS", "0", "is 0.0; it must be above 0 and finite."),
        ("STALL_SECONDS", "soon", "'soon'"),
        ("FETCH_BYTES", "1.5", "'1.5'"),
        ("FETCH_BYTES", "5000000000", "FETCH_BYTES"),
    ],
)
def test_what_cannot_be_is_told(settings: Settings, name: str, value: str, why: str) -> None:
    """In one sentence, with the variable."""
    variable = f"{prefix(settings)}_{name}"
    with pytest.raises(StreamsSettingsError) as told:
        settings.from_environment({variable: value})
    assert variable in str(told.value)
    assert why in str(told.value)
