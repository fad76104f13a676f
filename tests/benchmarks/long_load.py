"""A load of several million events, made by repeating one of a million."""

import dataclasses
from collections import defaultdict
from dataclasses import replace

from tests.benchmarks.request_load import (
    MICROS,
    SPREAD_SECONDS,
    WINDOW_MICROS,
    Group,
    Load,
    Totals,
    make_load,
)

MILLION = 1_000_000
SPREAD_MICROS = SPREAD_SECONDS * MICROS
PREFIX_BYTES = 5


def make_long_load(seed: int, events: int, groups: int) -> Load:
    """Events as ``make_load`` has them, a million in five minutes.

    Every million has the choices of the first, in the next five minutes and with ids of its own:
    making each anew takes Python minutes.

    Args:
        seed: Of the chance that makes them.
        events: Up to a million, or whole millions.
        groups: A size of ``request_load.GROUPS``.

    Raises:
        SystemExit: So many cannot be made.
    """
    if events <= MILLION:
        return make_load(seed, events, groups, of=MILLION)
    if events % MILLION:
        raise SystemExit("Above a million events, give whole millions.")
    return repeated(make_load(seed, MILLION, groups), events // MILLION)


def repeated(load: Load, times: int) -> Load:
    """A load, followed by itself with later event times and other ids.

    Raises:
        SystemExit: The load does not begin as events of ``make_load`` do.
    """
    count = len(load.values)
    prefix = load.values[0][:PREFIX_BYTES]
    parts = [_split(value, number) for number, value in enumerate(load.values)]
    values = list(load.values)
    for turn in range(1, times):
        values.extend(
            prefix + _head(number + turn * count) + _long(at + turn * SPREAD_MICROS) + rest
            for number, (at, rest) in enumerate(parts)
        )
    return Load(values, load.groups * times, _repeated_totals(load.totals, times))


def _repeated_totals(totals: dict[Group, Totals], times: int) -> dict[Group, Totals]:
    repeats: dict[Group, Totals] = defaultdict(Totals)
    for turn in range(times):
        for (window, service, model), one in totals.items():
            group = window + turn * SPREAD_MICROS // WINDOW_MICROS, service, model
            repeats[group] = added(repeats[group], one)
    return dict(repeats)


def added(one: Totals, other: Totals) -> Totals:
    """The totals of two shares of one window and group."""
    both = replace(one)
    for field in dataclasses.fields(Totals):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, dict):
            total = defaultdict(int, mine)
            for key, count in theirs.items():
                total[key] += count
        else:
            total = mine + theirs
        setattr(both, field.name, total)
    return both


def _split(value: bytes, number: int) -> tuple[int, bytes]:
    """Event time, and what follows it."""
    head = _head(number)
    if not value.startswith(head, PREFIX_BYTES):
        raise SystemExit("The load's ids are not those that its repetition expects.")
    end = PREFIX_BYTES + len(head)
    zigzag = shift = 0
    while True:
        byte = value[end]
        zigzag |= (byte & 0x7F) << shift
        shift += 7
        end += 1
        if byte < 0x80:
            return zigzag >> 1, value[end:]


def _head(number: int) -> bytes:
    """What an event begins with: event_id, producer_id and sequence."""
    return _string(b"bench-1f0c-request-%d" % number) + _string(b"bench-1f0c") + _long(number)


def _string(text: bytes) -> bytes:
    return _long(len(text)) + text


def _long(number: int) -> bytes:
    """Avro's encoding of a long that is not negative (Avro 1.12, Binary Encoding)."""
    zigzag = number << 1
    encoded = bytearray()
    while zigzag > 0x7F:
        encoded.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    encoded.append(zigzag)
    return bytes(encoded)
