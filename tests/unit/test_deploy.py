"""The files that run the agent: what they name exists, and systemd takes the unit."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "inferwatch-agent.service"
ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Nothing in it is unknown or misspelt; the program is one that is here."""
    assert ANALYZE is not None
    text = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/opt/inferwatch/bin/inferwatch", sys.executable), "utf-8")
    done = subprocess.run(  # noqa: S603  # systemd's own
        [ANALYZE, "verify", "--man=no", unit], capture_output=True, text=True, check=False,
        timeout=30,
    )  # fmt: skip
    # It also looks at units of this machine; only lines about ours count.
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert said == []


def test_the_unit_can_see_what_it_samples() -> None:
    """Devices and processes are not hidden from it, and it comes back when it ends."""
    settings = dict(
        line.split("=", 1)
        for line in UNIT.read_text(encoding="utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    )
    hiding = {"PrivateDevices", "DevicePolicy", "ProtectClock", "ProtectProc", "ProcSubset"}
    assert settings.keys() & hiding == set()
    assert (settings["Restart"], settings["Type"]) == ("always", "exec")


def test_the_container_copies_what_exists() -> None:
    """Every path is one of the repository."""
    text = (DEPLOY / "agent.Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, flags=re.MULTILINE)
    paths = [path for line in copied for path in line.split()]
    assert {"pyproject.toml", "agents", "schemas"} <= set(paths)
    assert [path for path in paths if not (DEPLOY.parent / path).exists()] == []
