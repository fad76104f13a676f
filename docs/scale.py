"""What a cluster needs for so many events a second: the tables of docs/scale.md.

    python docs/scale.py            print them
    python docs/scale.py --write    put them into the page

capacity.py has the arithmetic and its assumptions, measured_costs.py reads docs/measured/. Nothing
beyond Python is needed.
"""

# A program on its own, in no package, that prints.
# ruff: noqa: INP001, T201

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import capacity
from capacity import CASES, CHANGES, LARGEST, Case, Plan, as_case, plan, rolled_up_tb
from measured_costs import MILLION, Measured, MeasuredError, read

PAGE: Final = Path(__file__).parent / "scale.md"
BEGIN, END = "<!-- output of: python docs/scale.py -->\n", "<!-- end of output -->\n"


def number(value: float) -> str:
    """To two digits, in words from a million on."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.1e}")
    place = 1 - math.floor(math.log10(rounded))
    if rounded >= MILLION:
        return f"{rounded / MILLION:,.{max(0, place + 6)}f} M"
    return f"{rounded:,.{max(0, place)}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def costs(measured: Measured) -> str:
    """What was measured."""
    cpu = (
        ("aggregation, CPU microseconds", measured.aggregation),
        ("sink, CPU microseconds", measured.sink),
        ("ClickHouse, CPU microseconds until it is in", measured.clickhouse),
        ("ClickHouse, CPU microseconds for merging it once", measured.merging),
    )
    m = measured
    sizes = (
        ("Kafka, bytes of a replica", m.event_bytes, m.row_bytes),
        ("ClickHouse, bytes", m.event_uncompressed_bytes, m.row_uncompressed_bytes),
        ("ClickHouse, bytes compressed", m.event_compressed_bytes, m.row_compressed_bytes),
    )
    few, many = (number(events) for events, _ in (measured.row_bytes.few, measured.row_bytes.many))
    head = ["measured", "an event", f"a row, of {few} events", f"a row, of {many}"]
    return table(
        head,
        [
            *([name, number(cost.event), *[number(cost.row)] * 2] for name, cost in cpu),
            *([name, number(e), number(r.few[1]), number(r.many[1])] for name, e, r in sizes),
        ],
    )


def formula(measured: Measured) -> str:
    """The formula of rows beside what was measured."""
    rows = []
    for replay in measured.replays:
        case = as_case(replay)
        sent, kept = (
            number(rows_of(replay.partitions) * replay.seconds)
            for rows_of in (case.rows_sent, case.rows_kept)
        )
        rows.append([f"{case.name} groups", sent, number(replay.sent), kept, number(replay.kept)])
    events = number(measured.replays[0].events)
    head = [
        f"{events} events",
        "rows sent, computed",
        "measured",
        "rows kept, computed",
        "measured",
    ]
    return table(head, rows)


def assumptions() -> str:
    """The constants that are neither measured nor sourced, or that somebody may want to change."""
    c = capacity
    stated = (
        ("cores used to", f"{c.UTILISATION:.0%}, disks to {c.FILLED:.0%}"),
        ("events", f"up to {c.LATE_SECONDS:g} s late"),
        (
            "a partition",
            f"of {c.PARTITION_MB:g} MB/s, {c.PARTITIONS_PER_PROCESS} of them a process",
        ),
        ("the busiest service", f"with {c.BUSIEST_SHARE:.0%} of the events"),
        ("a broker", f"of {c.BROKER_MB:g} MB/s from producers and {c.BROKER_TB:g} TB"),
        ("its partitions", f"at most {c.BROKER_PARTITIONS:,} with replicas"),
        ("a ClickHouse server", f"of {c.CLICKHOUSE_CORES} cores and {c.CLICKHOUSE_TB:g} TB"),
        ("merges", f"that write each row {c.MERGE_PASSES} times more"),
        ("replicas", f"{c.REPLICAS} in Kafka, {c.CLICKHOUSE_REPLICAS} in ClickHouse"),
        ("in Kafka", f"events {c.REQUESTS_DAYS} days, rows {c.AGGREGATES_DAYS} days"),
        ("in ClickHouse", f"events {c.RAW_DAYS} days, 10 s windows {c.TEN_SECOND_DAYS} days"),
        ("of roll-ups", f"1 m windows {c.MINUTE_DAYS} days, 1 h windows {c.HOUR_DAYS} days"),
    )
    return f"Assumed: {'; '.join(f'{name} {value}' for name, value in stated)}."


def needs(measured: Measured) -> str:
    """What each rate needs."""
    plans = [(case, plan(case, measured)) for case in CASES]

    def row(name: str, of: Callable[[Case, Plan], float]) -> list[str]:
        return [name, *(number(of(case, found)) for case, found in plans)]

    def exact(name: str, of: Callable[[Case, Plan], int]) -> list[str]:
        return [name, *(f"{of(case, found):,}" for case, found in plans)]

    return table(
        ["", *(f"{case.name} events/s" for case in CASES)],
        [
            row("groups active in a window", lambda c, _: c.groups),
            row("aggregate rows/s sent", lambda _, p: p.sent),
            row("aggregate rows/s that remain", lambda _, p: p.kept),
            exact("partitions of requests", lambda _, p: p.partitions),
            exact("partitions of aggregates", lambda _, p: p.row_partitions),
            exact("partitions that the busiest service needs", lambda _, p: p.busiest),
            exact("aggregation, processes (a core each)", lambda _, p: p.aggregation),
            exact("sink, processes (a core each)", lambda _, p: p.sink),
            row("Kafka, MB/s in", lambda _, p: p.kafka_mb),
            row("Kafka, MB/s out", lambda _, p: p.kafka_read_mb),
            row("Kafka, TB with replicas", lambda _, p: p.kafka_tb),
            ["Kafka, brokers", *(f"{p.brokers:,} ({p.brokers_by})" for _, p in plans)],
            row("ClickHouse, rows/s in", lambda c, p: c.rate * c.raw_share + p.sent),
            row("ClickHouse, MB/s in, before compression", lambda _, p: p.clickhouse_mb),
            row("ClickHouse, TB a day of events", lambda _, p: p.raw_tb),
            row("ClickHouse, TB a day of 10 s windows", lambda _, p: p.rows_tb),
            row("ClickHouse, TB of 1 m roll-ups", lambda c, _: rolled_up_tb(c, measured)[60]),
            row("ClickHouse, TB of 1 h roll-ups", lambda c, _: rolled_up_tb(c, measured)[3600]),
            row("ClickHouse, TB with retention, a replica", lambda _, p: p.clickhouse_tb),
            row("ClickHouse, cores busy with writing", lambda _, p: p.clickhouse_cores),
            [
                "ClickHouse, servers",
                *(f"{p.shards * capacity.CLICKHOUSE_REPLICAS:,} ({p.shards_by})" for _, p in plans),
            ],
            row("inserts/s into a table of a shard", lambda _, p: p.sink / p.shards),
        ],
    )


def changes(measured: Measured) -> str:
    """What would make the largest case smaller."""
    rows = []
    for case in CHANGES:
        found = plan(case, measured)
        rows.append(
            [
                case.name,
                number(found.sent),
                f"{found.aggregation + found.sink:,}",
                number(found.kafka_tb),
                f"{found.brokers:,}",
                number(found.clickhouse_tb),
                f"{found.shards * capacity.CLICKHOUSE_REPLICAS:,}",
            ]
        )
    head = [f"{LARGEST.name} events/s", "rows/s sent", "worker processes", "Kafka TB", "brokers",
            "ClickHouse TB", "servers"]  # fmt: skip
    return table(head, rows)


def output(measured: Measured) -> str:
    """Everything that the page quotes."""
    parts = [f"Measured on {measured.machine}."]
    if measured.indicative:
        files = ", ".join(measured.indicative)
        parts.append(f"**Indicative figures of small loads on a busy machine: {files}.**")
    parts += [costs(measured), formula(measured), assumptions(), needs(measured), changes(measured)]
    return "\n\n".join(parts) + "\n"


def quoted(page: str, text: str) -> str:
    """The page with the text between its markers.

    Raises:
        ValueError: It lacks a marker.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page lacks {BEGIN.strip()} or {END.strip()}.")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    asked = parser.parse_args()
    try:
        text = output(read())
        if asked.write:
            PAGE.write_text(quoted(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
        else:
            print(text, end="")
    except (MeasuredError, OSError, ValueError) as error:
        sys.exit(f"scale: {error}")


if __name__ == "__main__":
    main()
