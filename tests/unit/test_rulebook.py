"""The rules in force: a file that changes is read again, and one that is wrong is not."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from rules_role_worker import RULES

from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.rules_worker.pipeline_silent import NAME
from inferwatch_streams.rules_worker.rulebook import Rulebook


def refused() -> float:
    """Return how often a file was not reloaded."""
    labels = {"outcome": "refused"}
    return REGISTRY.get_sample_value("inferwatch_rules_reloads_total", labels) or 0.0


def test_a_rules_file_is_reloaded(tmp_path: Path) -> None:
    """Once each time it was changed; where it is wrong, or gone, what held goes on holding."""
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    book = Rulebook(file)
    assert not book.look()
    file.write_text("rules: [{name: other}]")
    before = (
        REGISTRY.get_sample_value("inferwatch_rules_reloads_total", {"outcome": "refused"}) or 0
    )
    assert not book.look()
    assert not book.look()
    after = REGISTRY.get_sample_value("inferwatch_rules_reloads_total", {"outcome": "refused"})
    assert after == before + 1
    assert [rule.name for rule in book.book.rules] == ["failing"]
    file.unlink()
    assert not book.look()
    file.write_text(
        RULES.replace("failing", "failed")
        + "maintenance: [{name: night, matchers: ['service=a'], from: '22:00', to: '06:00'}]\n"
        + "inhibitions: [{source: ['rule=a'], target: ['rule=b'], equal: [service]}]\n"
    )
    assert book.look()
    assert book.book.policies.keys() == {"failed", NAME}
    assert [each.name for each in book.book.alerting.maintenance] == ["night"]
    assert len(book.book.alerting.inhibitions) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("maintenance: [{name: a, matchers: ['x'], from: '22:00', to: '06:00'}]", "no matcher"),
        ("inhibitions: [{source: ['a=~('], target: ['b=c']}]", "no regular expression"),
        (
            "maintenance: [&a {name: a, matchers: [x=y], from: '22:00', to: '06:00'}, *a]",
            "is the name of maintenance",
        ),
    ],
)
def test_what_is_wrong_beside_the_rules_stops_at_start(tmp_path: Path, said: str, why: str) -> None:
    """With file and line."""
    file = tmp_path / "rules.yaml"
    file.write_text(f"{RULES}{said}\n")
    with pytest.raises(ConfigurationError, match=rf"rules.yaml:4: .*{why}"):
        Rulebook(file)
