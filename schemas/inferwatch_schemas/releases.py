"""Released schemas and their pinned ids.

``avro/NAME.avsc`` is the current text of a schema. ``avro/released/NAME.N.avsc`` is its N-th
release, never edited again, and ``avro/released/ids.json`` pins one id to each release, so that
producers and readers without a registry agree on the five bytes in front of every value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from fastavro.schema import to_parsing_canonical_form

from inferwatch_schemas.errors import UnknownSchemaError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Schema = dict[str, Any]

AVRO: Final = files(__package__) / "avro"
RELEASED: Final = AVRO / "released"


@dataclass(frozen=True, slots=True)
class Release:
    """One released version of a schema.

    Attributes:
        id: Pinned schema id, as it stands in the Confluent wire format.
        name: Name of the Avro record, without namespace.
        version: Counts the releases of this name from 1.
        text: The schema as JSON text.
    """

    id: int
    name: str
    version: int
    text: str

    @property
    def schema(self) -> Schema:
        """The schema as parsed JSON."""
        return json.loads(self.text)  # type: ignore[no-any-return]  # an .avsc is an object

    @property
    def file(self) -> str:
        """File name below ``avro/released``."""
        return file_name(self.name, self.version)


def file_name(name: str, version: int) -> str:
    """File name of a release below ``avro/released``."""
    return f"{name}.{version}.avsc"


def current_text(name: str) -> str:
    """Text of ``avro/NAME.avsc``, released or not.

    Raises:
        UnknownSchemaError: There is no such file.
    """
    return _read(AVRO / f"{name}.avsc", name)


def current_names() -> tuple[str, ...]:
    """Names of all current schemas, sorted."""
    return tuple(sorted(f.name.removesuffix(".avsc") for f in AVRO.iterdir() if f.is_file()))


def _read(file: Traversable, name: str) -> str:
    if not file.is_file():
        raise UnknownSchemaError(f"There is no schema {name!r} in {AVRO}.")
    return file.read_text(encoding="utf-8")


@cache
def releases() -> tuple[Release, ...]:
    """All releases, by id."""
    pins = json.loads((RELEASED / "ids.json").read_text(encoding="utf-8"))
    return tuple(
        Release(pin["id"], pin["name"], pin["version"],
                _read(RELEASED / file_name(pin["name"], pin["version"]), pin["name"]))
        for pin in sorted(pins, key=lambda pin: int(pin["id"]))
    )  # fmt: skip


def latest(name: str) -> Release:
    """The newest release of a schema: what our own producers write.

    Raises:
        UnknownSchemaError: Nothing of that name was released.
    """
    found = [release for release in releases() if release.name == name]
    if not found:
        raise UnknownSchemaError(f"Schema {name!r} has no release; run: inferwatch schemas release")
    return max(found, key=lambda release: release.version)


def canonical(text: str) -> str:
    """What decides whether two schemas read and write the same bytes, with our own limits.

    The Parsing Canonical Form (Avro specification 1.12) drops documentation, and would drop
    defaults and the ``minimum``/``maximum`` limits too, which readers here depend on.
    """
    schema = json.loads(text)
    limits = [
        [field["name"], field.get("default"), field.get("minimum"), field.get("maximum")]
        for field in schema["fields"]
    ]
    return to_parsing_canonical_form(schema) + json.dumps(limits)
