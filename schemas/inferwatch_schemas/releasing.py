"""Checks that current and released schemas hold together, and makes the next release of one.

Works on a folder laid out as ``avro/`` is, so that it can be tried on a copy.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from inferwatch_schemas.compatibility import problems, unreadable
from inferwatch_schemas.errors import SchemaRefusedError, UnknownSchemaError
from inferwatch_schemas.releases import canonical, file_name

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of ``released/ids.json``.

    Attributes:
        id: Schema id in front of every value that was written with this release.
        name: Name of the schema.
        version: Counts the releases of this name from 1.
        sha256: Of the released file, in hexadecimal: a release is never edited.
    """

    id: int
    name: str
    version: int
    sha256: str

    @property
    def file(self) -> str:
        """File name below ``released``."""
        return file_name(self.name, self.version)


def pins(folder: Path) -> list[Pin]:
    """The pinned releases, in the order of the file.

    Raises:
        SchemaRefusedError: ``ids.json`` is not a list of pins.
    """
    path = folder / "released" / "ids.json"
    try:
        return [Pin(**pin) for pin in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise SchemaRefusedError(f"{path} is no list of pinned releases: {error}.") from error


def check(folder: Path) -> list[str]:
    """What is wrong with the schemas of a folder, one sentence each; none when all is well.

    Raises:
        SchemasError: ``ids.json`` cannot be read, or the package ``avro`` is not installed.
    """
    pinned = pins(folder)
    found = _pin_problems(folder, pinned)
    if found:
        return found
    for name in sorted(path.stem for path in folder.glob("*.avsc")):
        found += _current_problems(folder, name, pinned)
    return found


def release(folder: Path, name: str) -> Pin:
    """Copy the current text of a schema to a new release, with the next version and id.

    Raises:
        UnknownSchemaError: There is no such schema.
        SchemaRefusedError: The current text breaks a rule, or is released already.
        SchemasError: The package ``avro`` is not installed.
    """
    path = folder / f"{name}.avsc"
    if not path.is_file():
        raise UnknownSchemaError(f"There is no schema {name!r} in {folder}.")
    pinned = pins(folder)
    refused = _pin_problems(folder, pinned) or _content_problems(folder, name, pinned)
    if refused:
        raise SchemaRefusedError(" ".join(refused))
    versions = _versions(name, pinned)
    text = path.read_text(encoding="utf-8")
    if versions and canonical(_released(folder, versions[-1])) == canonical(text):
        raise SchemaRefusedError(f"Schema {name!r} has not changed since {versions[-1].file}.")
    new = Pin(
        id=max((pin.id for pin in pinned), default=0) + 1,
        name=name,
        version=len(versions) + 1,
        sha256=_sha256(text),
    )
    (folder / "released" / new.file).write_text(text, encoding="utf-8")
    lines = ",\n  ".join(json.dumps(asdict(pin)) for pin in [*pinned, new])
    (folder / "released" / "ids.json").write_text(f"[\n  {lines}\n]\n", encoding="utf-8")
    return new


def _pin_problems(folder: Path, pinned: list[Pin]) -> list[str]:
    found = []
    ids = [pin.id for pin in pinned]
    if ids != sorted(set(ids)) or any(one < 1 for one in ids):
        found.append("ids.json: ids must rise from line to line and start above 0; restore it.")
    for name in sorted({pin.name for pin in pinned}):
        numbers = [pin.version for pin in _versions(name, pinned)]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"ids.json: the versions of {name} are {numbers}; they count from 1.")
    files = {path.name for path in (folder / "released").glob("*.avsc")}
    found += [
        f"released/{file} has no pinned id: run inferwatch schemas release, or remove the file."
        for file in sorted(files - {pin.file for pin in pinned})
    ]
    for pin in pinned:
        if pin.file not in files:
            found.append(f"released/{pin.file} is missing: restore it, id {pin.id} is in use.")
        elif _sha256(_released(folder, pin)) != pin.sha256:
            found.append(
                f"released/{pin.file} was edited after its release: restore it and change "
                f"{pin.name}.avsc."
            )
    return found


def _current_problems(folder: Path, name: str, pinned: list[Pin]) -> list[str]:
    found = _content_problems(folder, name, pinned)
    if found:
        return found
    versions = _versions(name, pinned)
    text = (folder / f"{name}.avsc").read_text(encoding="utf-8")
    if not versions or canonical(_released(folder, versions[-1])) != canonical(text):
        return [f"{name}.avsc is not its newest release: run inferwatch schemas release {name}."]
    return []


def _content_problems(folder: Path, name: str, pinned: list[Pin]) -> list[str]:
    text = (folder / f"{name}.avsc").read_text(encoding="utf-8")
    found = unreadable(text)
    if found:
        return [f"{name}.avsc: {sentence}" for sentence in found]
    if (record := json.loads(text)["name"]) != name:
        return [f"{name}.avsc: its record is named {record}: name it {name}."]
    return [
        f"{name}.avsc after its release {pin.version}: {sentence}"
        for pin in _versions(name, pinned)
        for sentence in problems(text, _released(folder, pin))
    ]


def _versions(name: str, pinned: list[Pin]) -> list[Pin]:
    return sorted((pin for pin in pinned if pin.name == name), key=lambda pin: pin.version)


def _released(folder: Path, pin: Pin) -> str:
    return (folder / "released" / pin.file).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
