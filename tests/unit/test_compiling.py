"""Compiled code is kept for the next start, and never outlives what it was made from."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from inferwatch_schemas.columnar import compiling

PART = """
from inferwatch_schemas.columnar.compiling import inlined

@inlined
def part(number):
    return number + {}
"""
WHOLE = """
from inferwatch_schemas.columnar.compiling import compiled
from made_up.inner.part import part

@compiled
def whole(number):
    return 2 * part(number)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a test's own, whose compiled functions are not noted among ours."""
    monkeypatch.setattr(compiling, "FUNCTIONS", [])
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "made_up/inner").mkdir(parents=True)
    for folder in ("made_up", "made_up/inner"):
        (tmp_path / folder / "__init__.py").touch()
    return tmp_path / "made_up"


def installed(package: Path, added: int) -> Any:
    """Return the compiled function of the package as a new process would find it."""
    for path, source in (("inner/part.py", PART.format(added)), ("whole.py", WHOLE)):
        (package / path).write_text(source)
        # As a wheel's files, which are of one date whatever the version.
        os.utime(package / path, (1_580_601_600, 1_580_601_600))
    for name in [name for name in sys.modules if name.startswith("made_up")]:
        del sys.modules[name]
    for bytecode in package.rglob("*.pyc"):
        bytecode.unlink()
    importlib.invalidate_caches()
    compiling.digest.cache_clear()
    return importlib.import_module("made_up.whole").whole


def test_compiled_code_is_loaded_again(package: Path) -> None:
    """The next process compiles nothing where the sources are the same."""
    assert installed(package, 1)(20) == 42
    again = installed(package, 1)
    assert again(20) == 42
    assert sum(again.stats.cache_hits.values()) == 1
    assert not again.stats.cache_misses


def test_what_is_no_source_is_left_out(package: Path) -> None:
    """An editor's lock, a link to nowhere, keeps nobody from importing."""
    (package / "inner/.#part.py").symlink_to("someone@somewhere.1")
    assert installed(package, 1)(20) == 42


def test_sources_that_cannot_be_read(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is kept, for nobody knows of what; it compiles all the same."""

    def unreadable(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", unreadable)
    compiling.digest.cache_clear()
    assert installed(package, 1)(20) == 42
    assert None in compiling.folders()


def test_a_new_version_compiles_anew(package: Path) -> None:
    """A change in another module is seen, though no file's date or size shows it."""
    assert installed(package, 1)(20) == 42
    assert installed(package, 2)(20) == 44


def test_a_change_of_the_machinery_compiles_anew(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So is one of the package that every other one's compiled code is made from."""
    monkeypatch.setattr(compiling, "OWN", tmp_path / "own")
    (tmp_path / "own").mkdir()
    assert installed(package, 1)(20) == 42
    (tmp_path / "own/unaligned.py").touch()
    again = installed(package, 1)
    assert again(20) == 42
    assert again.stats.cache_misses
