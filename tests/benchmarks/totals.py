"""Comparing what a contender counted with the totals that were kept while its load was made."""

import json

from tests.benchmarks.request_load import Group, Totals

NUMBERS = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cost_usd_micros",
    "duration_micros",
    "first_token_micros",
)


def merged(one: dict[Group, Totals], other: dict[Group, Totals]) -> dict[Group, Totals]:
    """Totals of two loads, which have no window in common."""
    if one.keys() & other.keys():
        raise SystemExit("The warm-up must lie in windows of its own.")
    return one | other


def check(name: str, found: dict[Group, Totals], expected: dict[Group, Totals]) -> None:
    """End the benchmark where a contender counted wrongly."""
    plain = [
        {group: json.dumps(vars(totals), sort_keys=True) for group, totals in side.items()}
        for side in (found, expected)
    ]
    if plain[0] != plain[1]:
        wrong = [group for group in expected if plain[0].get(group) != plain[1][group]]
        raise SystemExit(f"{name} counted wrongly: {len(wrong)} groups, first {wrong[:1]}.")
