"""Fetching artifacts: complete or absent, and one sentence where Maven cannot help."""

from pathlib import Path

import pytest

from inferwatch.embedded.errors import DownloadError, MissingProgramError
from inferwatch.embedded.maven import cache_root, fetched, run_maven


def test_a_folder_is_filled_once(tmp_path: Path) -> None:
    """The second call finds what the first fetched."""
    fills: list[Path] = []

    def fill(folder: Path) -> None:
        fills.append(folder)
        (folder / "a.jar").write_text("jar")

    for _ in range(2):
        assert fetched("kafka-1", fill, root=tmp_path) == tmp_path / "kafka-1"
    assert (tmp_path / "kafka-1" / "a.jar").read_text() == "jar"
    assert len(fills) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kafka-1"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), DownloadError("no network")])
def test_an_interrupted_download_counts_for_nothing(
    tmp_path: Path, interruption: BaseException
) -> None:
    """Nothing is left of it, so that the next call fetches again."""

    def fill(folder: Path) -> None:
        (folder / "half.jar").write_text("ha")
        raise interruption

    with pytest.raises(type(interruption)):
        fetched("kafka-1", fill, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_of_two_at_once_the_first_stays(tmp_path: Path) -> None:
    """A folder that another process completed meanwhile is used, not replaced."""

    def fill(folder: Path) -> None:
        (folder / "mine.jar").touch()
        (tmp_path / "kafka-1").mkdir()
        (tmp_path / "kafka-1" / "theirs.jar").touch()

    found = fetched("kafka-1", fill, root=tmp_path)
    assert [path.name for path in found.iterdir()] == ["theirs.jar"]
    assert list(tmp_path.iterdir()) == [found]


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot be written"):
        fetched("kafka-1", lambda _: None, root=tmp_path / "file")


def test_the_cache_is_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`XDG_CACHE_HOME`, else `.cache` in the home folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "inferwatch"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "inferwatch"


def test_maven_missing_or_failing_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says to install it, or quotes the first error it gave."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match="Maven is needed to fetch Kafka"):
        run_maven(["dependency:copy"], what="Kafka")
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] Unknown host repo'\necho '[ERROR] Help 1'\nexit 1\n")
    maven.chmod(0o755)
    with pytest.raises(DownloadError, match=r"could not fetch Kafka; .*Unknown host repo$"):
        run_maven(["dependency:copy"], what="Kafka")
