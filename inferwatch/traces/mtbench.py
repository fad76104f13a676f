"""MT-bench judgments: GPT-4's scores of the answers of ten models to eighty questions of two turns.

Source: gpt4_single_scores.csv (Apache-2.0). Columns: tstamp (seconds since 1970), model,
question_id, turn, score from 1 to 10. A score of -1 says that no score was found in the judge's
answer: such an evaluation has none, and would pull every mean down as a number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from inferwatch.traces.errors import TraceError
from inferwatch.traces.events import ENVIRONMENT, TraceEvent, TraceOptions
from inferwatch.traces.rows import csv_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS: Final = ("tstamp", "model", "question_id", "turn", "score")
SERVICE: Final = "mt-bench"
TEST_SET: Final = "mt_bench"
METRIC: Final = "mt_bench_score"
JUDGE: Final = "gpt-4"
JUDGE_FAILED: Final = -1.0
MICROS: Final = 1_000_000


def read(path: Path, options: TraceOptions) -> Iterator[TraceEvent]:
    """Evaluations of one file, in its order and at its times, cut off to microseconds.

    Raises:
        TraceError: The file is not of this format.
    """
    if options.start is not None:
        raise TraceError("mtbench has times of its own; leave out --start.")
    for row in csv_rows(path, COLUMNS):
        score = row.number("score", minimum=JUDGE_FAILED)
        failed = score == JUDGE_FAILED
        if score < 0 and not failed:
            raise row.error("score", "-1 or a number of at least 0")
        row.number("tstamp")
        record = {
            "service_name": options.service or SERVICE,
            "deployment_environment_name": ENVIRONMENT,
            "kind": "judge",
            "gen_ai_request_model": row.text("model"),
            "gen_ai_evaluation_name": METRIC,
            "gen_ai_evaluation_score_value": None if failed else score,
            "error_type": "judge_failed" if failed else None,
            "test_set": TEST_SET,
            "question_id": row.text("question_id"),
            "turn": row.whole("turn"),
            "judge": JUDGE,
        }
        # A double of seconds is too coarse for the file's digits.
        yield TraceEvent("evaluation", int(Decimal(row.text("tstamp")) * MICROS), record)
