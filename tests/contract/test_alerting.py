"""From a service's failing calls to the alert on its topic, and back, through real workers."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from alert_log import AlertLog
from calls import call
from load import Log
from pipeline import Stack, Worker, wait_until

RULES = """
rules:
  - name: failing
    kind: threshold
    severity: high
    measure: error_rate
    by: [service]
    window: 10s
    above: 0.05
    min_samples: 5
    runbook: https://example.com/failing
"""
SECONDS = 60


class Rules:
    """Workers of the role rules, a rules file, and the aggregation before them."""

    def __init__(self, stack: Stack, stopping: ExitStack) -> None:
        self._stack = stack
        self._stopping = stopping
        self.file = stack.folder / "rules.yaml"
        self.file.write_text(RULES)
        self.log = Log(stack.kafka)
        self.alerts = AlertLog(stack.kafka)
        stopping.callback(self.alerts.close)
        self.counting = stopping.enter_context(stack.worker("counting", "--only", "aggregation"))

    def worker(self, name: str) -> Worker:
        """Start one."""
        return self._stopping.enter_context(
            self._stack.worker(
                name, "--only", "rules", "--log-level", "info",
                rules_file=str(self.file), rules_settle_seconds="1.5",
                rules_reload_seconds="0.2", rules_checkpoint_seconds="2",
            )
        )  # fmt: skip

    def until(self, service: str, statuses: list[str], *workers: Worker, failed: bool) -> None:
        """Call a service until its alert has gone through these statuses."""

        def step() -> list[str]:
            self.log.publish([call(service, failed=failed) for _ in range(20)])
            return self.alerts.read().transitions(service=service)

        wait_until(step, lambda found: found == statuses, self.counting, *workers, seconds=SECONDS)


@pytest.fixture(scope="module")
def rules(stack: Stack) -> Iterator[Rules]:
    """Yield the aggregation and room for workers of the rules."""
    with ExitStack() as stopping:
        yield Rules(stack, stopping)


def test_an_alert_outlives_its_leader(rules: Rules) -> None:
    """It fires while calls fail, goes on when the leader is killed, and ends when they succeed."""
    workers = [rules.worker("first"), rules.worker("second")]
    rules.until("search", ["firing"], *workers, failed=True)
    (leader,) = (each for each in workers if each.metric("inferwatch_leads") == 1)
    (other,) = (each for each in workers if each is not leader)
    leader.kill()
    wait_until(
        lambda: other.metric("inferwatch_leads"), lambda leads: leads == 1, other, seconds=SECONDS
    )
    assert rules.alerts.read().transitions(service="search") == ["firing"]
    rules.until("search", ["firing", "resolved"], other, failed=False)
    for record in rules.alerts.records(service="search"):
        assert (record["rule"], record["severity"]) == ("failing", "high")
        assert record["runbook_url"] == "https://example.com/failing"
    assert rules.alerts.fenced == 0
