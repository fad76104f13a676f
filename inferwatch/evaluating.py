"""What ``inferwatch evaluate`` does with results: publishes, shows and checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from inferwatch import tables
from inferwatch.errors import CommandError
from inferwatch_agents.evaluation.sink import SCHEMA
from inferwatch_agents.metrics import metrics_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_agents.evaluation import Summary, Tally
    from inferwatch_agents.publisher import Publisher

FLUSH_SECONDS: Final = 30.0
HEADERS: Final = (
    "Tag", "Questions", "Passed", "Accuracy", "Score", "Errors", "Error rate", "p50 s", "p95 s",
)  # fmt: skip


class FailedEvaluationError(CommandError):
    """A model was not good enough, or could not be evaluated."""


class PublishingSink:
    """Publishes results, and waits where the broker is slower; see ``evaluation.sink.Sink``."""

    def __init__(self, publisher: Publisher | None, service: str, environment: str) -> None:
        """Prepare.

        Args:
            publisher: Nothing is sent when None.
            service: OpenTelemetry service.name.
            environment: OpenTelemetry deployment.environment.name.
        """
        self._publisher = publisher
        self._belongs = {
            "service_name": service,
            "deployment_environment_name": environment,
        }

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """Publish a result.

        Raises:
            AgentsError: It cannot be.
            SchemasError: Likewise.
        """
        if self._publisher is not None:
            self._publisher.publish(SCHEMA, self._belongs | dict(record))

    def scored(self, model: str, accuracy: float) -> None:
        """Set the gauge ``ai_model_accuracy_score``."""
        metrics_of().model_accuracy.labels(model).set(accuracy)

    def flush(self) -> None:
        """Wait until all is acknowledged.

        Raises:
            PublishError: Something is not.
        """
        if self._publisher is not None:
            self._publisher.flush(FLUSH_SECONDS)


def show(summary: Summary) -> None:
    """Print what a run came to: all questions, those of each tag, and the errors."""
    typer.echo(f"{summary.model}, {summary.test_set}, run {summary.run_id}")
    rows = [("all", summary.total), *summary.by_tag.items()]
    tables.show(HEADERS, [_row(tag, tally) for tag, tally in rows])
    for failures in summary.total.failures:
        reason = " ".join(failures.reason.split())
        typer.echo(f"{failures.count} x {failures.error_type}: {reason}")


def tell(error: Exception) -> None:
    """Print why a run of a schedule failed; the next comes as ever."""
    typer.echo(f"inferwatch: {error}", err=True)


def check(summary: Summary, fail_under: float | None) -> None:
    """Hold a run against what is asked of it.

    Raises:
        FailedEvaluationError: No question has a score, or the accuracy is too low.
    """
    accuracy = summary.total.accuracy
    if accuracy is None:
        raise FailedEvaluationError("No question has a score; see the errors above.")
    if fail_under is not None and accuracy < fail_under:
        raise FailedEvaluationError(f"The accuracy {accuracy:.6g} is below {fail_under:g}.")


def _row(tag: str, tally: Tally) -> tuple[str, ...]:
    return (
        tag,
        str(tally.questions),
        str(tally.passed),
        _number(tally.accuracy),
        _number(tally.score_mean),
        str(tally.questions - tally.judged),
        _number(tally.error_rate),
        _number(tally.duration_quantile(0.5)),
        _number(tally.duration_quantile(0.95)),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
