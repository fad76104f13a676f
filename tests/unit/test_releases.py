"""Released schemas: pinned, never edited, and released again only as the rules allow."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inferwatch_schemas import releases, releasing
from inferwatch_schemas.errors import SchemaRefusedError, UnknownSchemaError

Schema = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the schemas that may be broken."""
    return Path(shutil.copytree(str(releases.AVRO), tmp_path / "avro"))


def edit(path: Path, change: Callable[[Schema], object]) -> None:
    """Change a schema's file."""
    schema = json.loads(path.read_text())
    change(schema)
    path.write_text(json.dumps(schema))


def add_field(schema: Schema) -> None:
    """Add a field that may be added."""
    schema["fields"].append({"name": "extra", "type": ["null", "string"], "default": None})


def change_pins(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the list of pins."""
    path = folder / "released" / "ids.json"
    pins = json.loads(path.read_text())
    change(pins)
    path.write_text(json.dumps(pins))


def test_our_schemas_hold_together() -> None:
    """What this version ships passes its own checks."""
    assert releasing.check(Path(str(releases.AVRO))) == []


def test_the_newest_release_is_what_is_written() -> None:
    """Each current schema has a newest release, found by name and by id."""
    for name in releases.current_names():
        latest = releases.latest(name)
        versions = [each for each in releases.releases() if each.name == name]
        assert latest == versions[-1]
        assert latest.schema["name"] == name
        assert releases.canonical(latest.text) == releases.canonical(releases.current_text(name))


def test_an_unknown_name_is_refused() -> None:
    """A name without a file or release is told by name."""
    with pytest.raises(UnknownSchemaError, match="'nothing'"):
        releases.latest("nothing")
    with pytest.raises(UnknownSchemaError, match="'nothing'"):
        releases.current_text("nothing")


def test_canonical_keeps_what_readers_depend_on() -> None:
    """Documentation does not matter to it; limits and defaults do."""
    text = releases.current_text("request")

    def changed(change: Callable[[Schema], object]) -> bool:
        schema = json.loads(text)
        change(schema["fields"][2])
        return releases.canonical(json.dumps(schema)) != releases.canonical(text)

    assert not changed(lambda field: field.update(doc="other"))
    assert changed(lambda field: field.update(minimum=1))
    assert changed(lambda field: field.update(maximum=1))
    assert changed(lambda field: field.update(default=1))
    assert changed(lambda field: field.update(type="int"))


def test_a_release_counts_on(folder: Path) -> None:
    """A changed schema becomes the next version with the next id, and all checks pass again."""
    before = releasing.pins(folder)
    edit(folder / "exposure.avsc", add_field)
    (told,) = releasing.check(folder)
    assert told == (
        "exposure.avsc is not its newest release: run inferwatch schemas release exposure."
    )
    pin = releasing.release(folder, "exposure")
    assert (pin.version, pin.id) == (2, max(each.id for each in before) + 1)
    assert releasing.pins(folder) == [*before, pin]
    assert (folder / "released" / "exposure.2.avsc").read_text() == (
        folder / "exposure.avsc"
    ).read_text()
    assert releasing.check(folder) == []


def test_a_new_schema_starts_at_version_one(folder: Path) -> None:
    """The first release of a name has version 1."""
    text = (folder / "exposure.avsc").read_text().replace('"exposure"', '"extra"')
    (folder / "extra.avsc").write_text(text)
    assert releasing.release(folder, "extra").version == 1
    assert releasing.check(folder) == []


def test_documentation_needs_no_release(folder: Path) -> None:
    """A change of documentation alone is neither a problem nor a release."""
    edit(folder / "exposure.avsc", lambda schema: schema.update(doc="Said better."))
    assert releasing.check(folder) == []
    with pytest.raises(SchemaRefusedError, match=r"has not changed since exposure\.1\.avsc"):
        releasing.release(folder, "exposure")


def test_an_unknown_name_is_not_released(folder: Path) -> None:
    """A name without a file is told."""
    with pytest.raises(UnknownSchemaError, match="'nothing'"):
        releasing.release(folder, "nothing")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda schema: schema["fields"].append({"name": "extra", "type": "string"}),
            "exposure.avsc after its release 1: exposure.extra is new and has no default",
        ),
        (
            lambda schema: schema["fields"].append(
                {"name": "extra", "type": {"type": "map", "values": "int"}, "default": {}}
            ),
            "exposure.avsc: exposure.extra is a map",
        ),
        (lambda schema: schema.update(name="other"), "its record is named other"),
    ],
)
def test_a_refused_change_is_not_released(
    folder: Path, change: Callable[[Schema], object], sentence: str
) -> None:
    """What breaks a rule is told by the check, and the release is refused and leaves no trace."""
    edit(folder / "exposure.avsc", change)
    assert any(sentence in told for told in releasing.check(folder))
    files = sorted((folder / "released").iterdir())
    with pytest.raises(SchemaRefusedError, match=sentence.split(":", maxsplit=1)[0]):
        releasing.release(folder, "exposure")
    assert sorted((folder / "released").iterdir()) == files


def test_every_release_must_stay_readable(folder: Path) -> None:
    """A change that the last release allows but an older one does not is refused."""
    edit(folder / "exposure.avsc", lambda schema: schema["fields"].pop(0))
    releasing.release(folder, "exposure")
    edit(
        folder / "exposure.avsc",
        lambda schema: schema["fields"].insert(
            0, {"name": "event_id", "type": "long", "default": 0}
        ),
    )
    (told,) = releasing.check(folder)
    assert told.startswith("exposure.avsc after its release 1: exposure.event_id changes its type")


def test_an_edited_release_is_told(folder: Path) -> None:
    """A released file that was edited, even in its documentation, is told."""
    edit(folder / "released" / "exposure.1.avsc", lambda schema: schema.update(doc="Edited."))
    (told,) = releasing.check(folder)
    assert "released/exposure.1.avsc was edited after its release" in told


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda pins: pins[1].update(id=1), "ids must rise"),
        (lambda pins: pins[0].update(id=0), "ids must rise"),
        (lambda pins: pins.reverse(), "ids must rise"),
        (lambda pins: pins.pop(8), "released/dead_letter.1.avsc has no pinned id"),
        (lambda pins: pins[0].update(version=2), "the versions of request are [2]"),
        (
            lambda pins: pins.append({**pins[0], "id": 99, "version": 2}),
            "released/request.2.avsc is missing",
        ),
    ],
)
def test_pins_that_do_not_fit_are_told(
    folder: Path, change: Callable[[list[dict[str, Any]]], object], sentence: str
) -> None:
    """Ids, versions and files that do not belong together are told before anything else."""
    change_pins(folder, change)
    assert any(sentence in told for told in releasing.check(folder))
    with pytest.raises(SchemaRefusedError):
        releasing.release(folder, "exposure")


@pytest.mark.parametrize("text", ["", '{"a": 1}', '[{"id": 1}]', "[1]"])
def test_a_list_of_pins_that_is_none_is_told(folder: Path, text: str) -> None:
    """A file that is no list of pins is one sentence with its name."""
    (folder / "released" / "ids.json").write_text(text)
    with pytest.raises(SchemaRefusedError, match=r"ids\.json is no list of pinned releases"):
        releasing.check(folder)
