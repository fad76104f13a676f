"""What cannot be measured is told when it begins and when it ends."""

from structlog.testing import capture_logs

from inferwatch_agents.host.reports import MOST_TOLD, Reports


def test_a_cause_is_told_once_and_another_anew() -> None:
    """The same cause again is no news; another cause, another device or the recovery is."""
    reports = Reports()
    with capture_logs() as logs:
        for _ in range(3):
            reports.failed("a", "power", "refused")
        reports.failed("b", "power", "refused")
        reports.failed("a", "power", "lost")
        for _ in range(3):
            reports.well("a", "power")
        reports.well("a", "clock")
    told = [(log["event"], log["device"], log.get("reason")) for log in logs]
    assert told == [
        ("not measured", "a", "refused"),
        ("not measured", "b", "refused"),
        ("not measured", "a", "lost"),
        ("measured again", "a", None),
    ]
    assert reports.failing() == {("b", "power"): "refused"}


def test_what_a_device_does_not_have_is_no_warning() -> None:
    """It is told as information, at the same level of detail."""
    with capture_logs() as logs:
        Reports().failed("a", "ECC", "Not Supported", usual=True)
        Reports().failed("a", "ECC", "No Permission")
    assert [log["log_level"] for log in logs] == ["info", "warning"]


def test_what_comes_and_goes_for_ever_is_not_told_for_ever() -> None:
    """After some times only the state is kept, and the last line says so."""
    reports = Reports()
    with capture_logs() as logs:
        for _ in range(MOST_TOLD):
            reports.failed("a", "power", "refused")
            reports.well("a", "power")
    assert len(logs) == MOST_TOLD
    assert logs[-1]["note"] == "not told again"
    reports.failed("a", "power", "refused")
    assert reports.failing() == {("a", "power"): "refused"}
