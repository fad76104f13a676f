"""Public traces come out of ClickHouse with the numbers that their authors' files have."""

import csv
import gzip
import json
import os
import re
import subprocess
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from oracle import close, nearest_rank
from pipeline import PROGRAM, Stack, environment, wait_until

DATA = Path(
    os.environ.get("INFERWATCH_PUBLIC_TRACES", Path(__file__).parents[2].parent / "shared" / "data")
)
# Facts of the files: service, requests, input and output tokens, busiest minute.
AZURE = {
    "code": (8_819, 18_059_974, 245_896, "18:31", 585),
    "conv": (19_366, 22_361_870, 4_088_665, "18:43", 502),
}
HILLSTROM = {
    "Mens E-Mail": (21_307, 267),
    "Womens E-Mail": (21_387, 189),
    "No E-Mail": (21_306, 122),
}
LEVELS = (
    "0100", "0200", "0300", "0400", "0500", "0600", "0700", "0800", "0900", "1000", "1500", "2000",
)  # fmt: skip
SCORES = DATA / "mtbench/gpt4_single_scores.csv.gz"
TWICE = "azure-twice"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the traces are not at {DATA}")


def replay(stack: Stack, format_name: str, *arguments: str | Path) -> int:
    """Replay files as a person does; the events that the command says it sent."""
    done = subprocess.run(  # noqa: S603 -- our own program, no shell
        [*PROGRAM, "replay", format_name, *map(str, arguments)],
        env=environment(stack.kafka, stack.clickhouse),
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = re.match(r"Sent ([\d,]+) events", done.stdout)
    assert told, done.stdout
    return int(told[1].replace(",", ""))


@pytest.fixture(scope="module")
def landed(stack: Stack) -> Stack:
    """The stack after all traces, and one of them twice under another name, have landed."""
    azure = {kind: DATA / f"azure_llm_2023/AzureLLMInferenceTrace_{kind}.csv.gz" for kind in AZURE}
    with stack.worker("worker", aggregation_block_length="65536") as worker:
        requests = replay(stack, "azure_llm_2023", *azure.values())
        for _ in range(2):
            requests += replay(stack, "azure_llm_2023", azure["code"], "--service", TWICE)
        requests += replay(
            stack, "vllm_burstgpt",
            *sorted(DATA.glob("vllm_burstgpt/requests_*")),
        )  # fmt: skip
        scores = replay(stack, "mtbench", SCORES)
        experiment = replay(stack, "hillstrom", DATA / "hillstrom/hillstrom.csv.gz")
        wait_until(
            lambda: stack.query(
                "SELECT (SELECT count() FROM requests),"
                " (SELECT count() FROM exposures) + (SELECT count() FROM conversions),"
                " (SELECT count() FROM evaluations),"
                " (SELECT sum(requests) FROM requests_1m),"
                " (SELECT sum(exposures) FROM exposures_1h) +"
                " (SELECT sum(conversions) FROM conversions_1h),"
                " (SELECT sum(evaluations) FROM evaluations_1h)"
            ),
            lambda found: found == [(requests, experiment, scores, requests, experiment, scores)],
            worker,
            seconds=60,
        )
        worker.stop()
    return stack


@pytest.mark.parametrize("kind", AZURE)
def test_azure_is_exact(landed: Stack, kind: str) -> None:
    """Requests, tokens and the busiest minute of each service."""
    requests, input_tokens, output_tokens, minute, peak = AZURE[kind]
    service = f"azure-llm-{kind}"
    assert landed.query(
        "SELECT sum(requests), sum(input_tokens), sum(output_tokens), sum(errors), count(p50) "
        "FROM requests_1m WHERE service = {service:String}",
        service=service,
    ) == [(requests, input_tokens, output_tokens, 0, 0)]
    assert landed.query(
        "SELECT formatDateTime(window_start, '%H:%i'), requests FROM requests_1m "
        "WHERE service = {service:String} ORDER BY requests DESC LIMIT 1",
        service=service,
    ) == [(minute, peak)]


def test_a_trace_replayed_twice_counts_twice(landed: Stack) -> None:
    """A replay is new events: nothing is taken for a repetition."""
    requests, input_tokens, output_tokens, minute, peak = AZURE["code"]
    assert landed.query(
        "SELECT sum(requests), sum(input_tokens), sum(output_tokens), max(requests) "
        "FROM requests_1m WHERE service = {service:String}",
        service=TWICE,
    ) == [(2 * requests, 2 * input_tokens, 2 * output_tokens, 2 * peak)]
    assert minute


@pytest.mark.parametrize("level", LEVELS)
def test_vllm_quantiles_are_within_their_bound(landed: Stack, level: str) -> None:
    """Every quantile of duration and first token of a level, against the file's own values."""
    path = DATA / f"vllm_burstgpt/requests_load{level}.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert len(rows) == 500
    quantiles = (0.5, 0.95, 0.99)
    selected = ", ".join(
        f"inferwatchQuantile({q}, sumMap({bins}))"
        for bins in ("duration_bins", "first_token_bins")
        for q in quantiles
    )
    ((count, *found),) = landed.query(
        f"SELECT sum(requests), {selected} FROM requests_1m WHERE service = {{service:String}}",  # noqa: S608 -- names of this file
        service=f"vllm-load{level}",
    )
    assert count == 500
    exact = [
        nearest_rank(q, (row[field] for row in rows))
        for field in ("total_chunk_time", "first_chunk_time")
        for q in quantiles
    ]
    assert all(close(told, true) for told, true in zip(found, exact, strict=True)), (found, exact)


def test_hillstrom_is_exact(landed: Stack) -> None:
    """Users and conversions of every arm."""
    found = landed.query(
        "SELECT variant, exposures, conversions FROM experiments WHERE metric = 'conversion'"
    )
    assert {variant: (users, bought) for variant, users, bought in found} == HILLSTROM


def test_mtbench_means_leave_out_failed_judgments(landed: Stack) -> None:
    """Each model's mean score is that of its scores in the file that are not -1."""
    given: dict[str, list[Fraction]] = defaultdict(list)
    with gzip.open(SCORES, "rt") as file:
        for row in csv.DictReader(file):
            given[row["model"]].append(Fraction(row["score"]))
    assert (len(given), sum(scores.count(Fraction(-1)) for scores in given.values())) == (10, 4)
    kept = {model: [s for s in scores if s != -1] for model, scores in given.items()}
    sums = {model: float(sum(scores)) for model, scores in kept.items()}
    found = landed.query(
        "SELECT model, sum(evaluations), sum(errors), sum(scored), sum(score_sum),"
        " toFloat64(sum(score_sum)) / sum(scored), min(score_min), max(score_max), sum(failed)"
        " FROM evaluations_1h WHERE service = 'mt-bench' AND kind = 'judge' GROUP BY model"
    )
    assert {model: numbers for model, *numbers in found} == {
        model: [
            len(given[model]), len(given[model]) - len(scores), len(scores),
            Decimal(sums[model]), sums[model] / len(scores),
            float(min(scores)), float(max(scores)), 0,
        ]
        for model, scores in kept.items()
    }  # fmt: skip
    means = dict(landed.query("SELECT model, avg(score) FROM evaluations GROUP BY model"))
    for model, scores in kept.items():
        assert means[model] == pytest.approx(float(sum(scores) / len(scores)), rel=1e-12)
