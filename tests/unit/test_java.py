"""Finding Java: the order of places, versions of every spelling, and what is said if none fits."""

from pathlib import Path

import pytest

from inferwatch.embedded import java
from inferwatch.embedded.errors import MissingProgramError
from inferwatch.embedded.java import find_java


def install(folder: Path, version: str) -> Path:
    """Write a `java` that answers with a version as the real one does, on standard error."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-04-21' >&2\n")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Java but what a test installs."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(java, "_INSTALLED", ((tmp_path / "jvm", "*/bin/java"),))


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user points at is taken when it is new enough."""
    install(tmp_path / "path", "21.0.1")
    home = install(tmp_path / "home", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java(17) == home


def test_the_path_comes_before_what_is_installed(tmp_path: Path) -> None:
    """The user's choice wins over a newer one."""
    on_path = install(tmp_path / "path", "17")
    install(tmp_path / "jvm" / "jdk-25", "25.0.3")
    assert find_java(17) == on_path


def test_an_older_one_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Java 8 calls itself 1.8, an early build has a suffix, and a broken one does not run."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    install(tmp_path / "path", "1.8.0_401")
    install(tmp_path / "jvm" / "a", "17.0.1")
    newest = install(tmp_path / "jvm" / "b", "27-ea")
    assert find_java(21) == newest


def test_none_that_fits_is_one_sentence(tmp_path: Path) -> None:
    """The message says what is needed and what was found."""
    with pytest.raises(MissingProgramError, match=r"Java 21 or newer .* found none\."):
        find_java(21)
    old = install(tmp_path / "path", "17.0.2")
    with pytest.raises(MissingProgramError, match=rf"found {old} \(17\)"):
        find_java(21)
