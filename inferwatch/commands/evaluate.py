"""``inferwatch evaluate``: a set of questions against a model, once or on a schedule."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from prometheus_client import start_http_server

from inferwatch import options
from inferwatch.errors import CommandError
from inferwatch.evaluating import PublishingSink, check, show, tell
from inferwatch.imports import named
from inferwatch_agents.evaluation import (
    Evaluator,
    EvaluatorSettings,
    Schedule,
    Summary,
    read_question_set,
)
from inferwatch_agents.publisher import Publisher

FAILED: Final = 1
DEFAULTS: Final = EvaluatorSettings()


@options.expanded
def evaluate(  # noqa: PLR0913  # an option is a parameter
    questions: Annotated[
        Path, typer.Argument(metavar="FILE", help="Questions as JSON Lines: id, input, expected.")
    ],
    *,
    model: Annotated[
        str,
        typer.Option(metavar="MODULE:NAME", help="A function of a question's input to its answer."),
    ],
    name: Annotated[
        str | None, typer.Option(help="What the model is called in events; --model without.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Who provides it.")] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JUDGE",
            help="exact, contains, numeric, MODULE:NAME, or JSON with options. The first is the "
            "usual one; questions may name the others. exact without.",
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Again and again, until Ctrl-C.", min=0.001),
    ] = None,
    jitter: Annotated[
        float, typer.Option(metavar="SECONDS", help="Begin by up to so much later.", min=0)
    ] = 0.0,
    concurrency: Annotated[
        int, typer.Option(help="Calls of the model at once.", min=1)
    ] = DEFAULTS.concurrency,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="What one call may take.", min=0.001)
    ] = DEFAULTS.timeout_seconds,
    pass_at: Annotated[
        float, typer.Option(help="The least score that passes.", min=0, max=1)
    ] = DEFAULTS.pass_at,
    fail_under: Annotated[
        float | None,
        typer.Option(help="Exit with 1 where the accuracy is below.", min=0, max=1),
    ] = None,
    service: Annotated[
        str, typer.Option(help="Name of the service in events.", envvar="INFERWATCH_SERVICE")
    ] = "evaluation",
    environment: Annotated[
        str, typer.Option(help="Likewise its environment.", envvar="INFERWATCH_ENVIRONMENT")
    ] = "unknown",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing, and need no Kafka.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve ai_model_accuracy_score on this loopback port.",
            envvar="INFERWATCH_METRICS_PORT",
            min=1,
            max=65535,
        ),
    ] = None,
    kafka: options.Kafka,
    registry: options.SchemaRegistry,
) -> None:
    """Ask a model a set of questions, have the answers judged, and send each as an event.

    A question without a score, because the model or the judge failed, is no wrong answer: it counts
    in the error rate. Where no question has a score, the exit status is 1.
    """
    if every is not None and fail_under is not None:
        raise typer.BadParameter("With --every there is no end to exit at.", param_hint="--every")
    answer, asked, read = named(model), judge or ["exact"], read_question_set(questions)
    judges = {text: named(text) for text in asked if _is_named(text)}
    sink = PublishingSink(None if dry_run else Publisher(kafka, registry), service, environment)
    evaluator = Evaluator(
        name or model,
        answer,
        read,
        _with_options(asked[0]),
        judges=judges,
        provider=provider,
        settings=EvaluatorSettings(concurrency, timeout, pass_at),
        sink=sink,
    )
    if metrics_port is not None:
        _serve_metrics(metrics_port)
    # As a container's first process, Python heeds no SIGTERM by itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0 if every else FAILED))

    def on_run(summary: Summary) -> None:
        show(summary)
        sink.flush()

    try:
        if every is None:
            summary = evaluator.run()
            on_run(summary)
            check(summary, fail_under)
        else:
            schedule = Schedule(
                evaluator, every, jitter_seconds=jitter, on_run=on_run, on_failure=tell
            )
            schedule.run()
    except (KeyboardInterrupt, SystemExit):
        # What was judged so far is worth keeping.
        sink.flush()
        raise


def _is_named(judge: str) -> bool:
    return ":" in judge and not judge.startswith("{")


def _with_options(judge: str) -> Any:
    if not judge.startswith("{"):
        return judge
    try:
        return json.loads(judge)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"{judge!r} is no JSON: {error}.", param_hint="--judge") from error


def _serve_metrics(port: int) -> None:
    try:
        start_http_server(port, "127.0.0.1")
    except OSError as error:
        raise CommandError(
            f"Metrics cannot be served on 127.0.0.1:{port} ({error}); change --metrics-port."
        ) from error
