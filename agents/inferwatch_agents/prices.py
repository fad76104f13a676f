"""What tokens cost: a dated table, and the exact price of a call in millionths of a US dollar.

The table that is shipped has list prices as they were known on its day, not today's: check yours,
and name your own file with ``init(prices=...)`` or ``INFERWATCH_PRICES``.

A model is looked up by its name as it is, then without what stands before its last slash
(``openai/gpt-4.1``), then without the date or ``-latest`` at its end (``gpt-4.1-2025-04-14``,
``claude-sonnet-4-20250514``, ``model@20250514``). Nothing else is guessed: ``gpt-4.1-turbo`` is not
``gpt-4.1``, and what is not found costs null.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from inferwatch_agents.errors import PricesError

if TYPE_CHECKING:
    from inferwatch_agents.usage import Usage

SHIPPED: Final = "list_prices.json"
CURRENCY: Final = "USD"
# Prices are kept as whole billionths of a micro-dollar a token, so that sums are exact.
SCALE: Final = 10**9
# The event's limit; a price that exceeds it is a mistake in the table.
MOST: Final = Decimal(1_000_000)
MICROS: Final = 1_000_000
# Names come from callers: so many are remembered, the others looked up each time.
MAX_FOUND: Final = 10_000

_SUFFIX: Final = re.compile(r"(?:[-@]20\d{2}-?[01]\d-?[0-3]\d|-latest)$")
_KINDS: Final = ("input", "cached", "cache_write", "output", "reasoning")
# What a kind costs where the table says nothing of it.
_INSTEAD: Final = {"cached": "input", "cache_write": "input", "reasoning": "output"}


class Price(NamedTuple):
    """Prices from one day on, in billionths of a micro-dollar a token.

    Attributes:
        valid_from: Microseconds since 1970 (UTC) of that day's start.
        input: An input token that no cache served or wrote.
        cached: An input token that a cache served.
        cache_write: An input token that was written to a cache.
        output: An output token that is no reasoning.
        reasoning: An output token spent on reasoning.
    """

    valid_from: int
    input: int
    cached: int
    cache_write: int
    output: int
    reasoning: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model with its prices.

    Attributes:
        provider: OpenTelemetry gen_ai.provider.name of who bills it.
        prices: Newest first.
    """

    provider: str
    prices: tuple[Price, ...]


class PriceTable:
    """Prices by model; reading it is exact and does no I/O."""

    def __init__(self, models: dict[str, Model]) -> None:
        """Keep them.

        Args:
            models: By name.
        """
        self._models = models
        self._found: dict[str, Model | None] = {}

    def model(self, name: str | None) -> Model | None:
        """The model of a name, by the rule above; None where the table has none."""
        if name is None:
            return None
        try:
            return self._found[name]
        except KeyError:
            found = next(
                (self._models[known] for known in _names(name) if known in self._models), None
            )
            if len(self._found) < MAX_FOUND:
                self._found[name] = found
            return found

    def cost(
        self, models: tuple[str | None, ...], provider: str | None, used: Usage, at: int
    ) -> int | None:
        """Price of a call in millionths of a US dollar, rounded half to even.

        Args:
            models: Names of its model, the most exact first; the first that is found counts.
            provider: Who answered it; None when not known. Another's prices are not taken.
            used: Its tokens.
            at: When it ended, in microseconds since 1970 (UTC).

        Returns:
            None where the price or a number of tokens that has one is not known.
        """
        model = next((found for name in models if (found := self.model(name))), None)
        if model is None or provider not in (None, model.provider):
            return None
        price = next((price for price in model.prices if price.valid_from <= at), None)
        return None if price is None else cost_of(price, used)


def cost_of(price: Price, used: Usage) -> int | None:
    """Price of tokens in millionths of a US dollar, rounded half to even.

    None where a count with a price is unknown, or parts exceed their whole.
    """
    if used.input_tokens is None and price.input:
        return None
    if used.output_tokens is None and price.output:
        return None
    cached, written = used.cached_tokens or 0, used.cache_write_tokens or 0
    reasoning = used.reasoning_tokens or 0
    fresh = (used.input_tokens or 0) - cached - written
    plain = (used.output_tokens or 0) - reasoning
    if fresh < 0 or plain < 0:
        return None
    scaled = (
        fresh * price.input
        + cached * price.cached
        + written * price.cache_write
        + plain * price.output
        + reasoning * price.reasoning
    )
    whole, rest = divmod(scaled, SCALE)
    return whole + (2 * rest > SCALE or (2 * rest == SCALE and whole % 2 == 1))


def load_prices(path: str | Path | None = None) -> PriceTable:
    """The table in a file, or the one that is shipped.

    Raises:
        PricesError: The file cannot be read, or is no table of prices.
    """
    source = files("inferwatch_agents").joinpath(SHIPPED) if path is None else Path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PricesError(f"The price table {path} cannot be read: {error}.") from error
    try:
        return parse_prices(json.loads(text))
    except json.JSONDecodeError as error:
        raise PricesError(f"The price table {path} is no JSON: {error}.") from error


def parse_prices(table: Any) -> PriceTable:
    """The table of a parsed file; ``list_prices.json`` shows the form.

    Raises:
        PricesError: It has another form.
    """
    try:
        if table["currency"] != CURRENCY:
            raise PricesError(
                f"The price table is in {table['currency']!r}; events have {CURRENCY}, convert it."
            )
        models: dict[str, Model] = {}
        for entry in table["models"]:
            model = Model(entry["provider"], _prices(entry))
            for name in (entry["model"], *entry.get("aliases", ())):
                if name in models:
                    raise PricesError(f"The price table has {name!r} twice.")
                models[name] = model
    except (KeyError, TypeError, AttributeError) as error:
        raise PricesError(
            f"The price table lacks or has in another form: {error}; it needs currency and "
            "models, each with provider, model and prices, as in list_prices.json."
        ) from error
    return PriceTable(models)


def _prices(entry: dict[str, Any]) -> tuple[Price, ...]:
    found = []
    for row in entry["prices"]:
        try:
            day = date.fromisoformat(row["valid_from"])
        except ValueError as error:
            raise PricesError(
                f"valid_from {row['valid_from']!r} of {entry['model']!r} is no date like "
                "2025-07-01."
            ) from error
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        said = {kind: row.get(kind, row.get(_INSTEAD.get(kind, kind))) for kind in _KINDS}
        scaled = {kind: _scaled(entry["model"], kind, value) for kind, value in said.items()}
        found.append(Price(valid_from=int(start.timestamp()) * MICROS, **scaled))
    if len({price.valid_from for price in found}) < len(found) or not found:
        raise PricesError(f"The price table needs prices of {entry['model']!r}, one a valid_from.")
    return tuple(sorted(found, reverse=True))


def _scaled(model: str, kind: str, value: Any) -> int:
    # Written as text: a JSON number would have been through binary floating point.
    try:
        price = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        price = Decimal("NaN")
    scaled = price * SCALE
    if not (price.is_finite() and 0 <= price <= MOST and scaled == int(scaled)):
        raise PricesError(
            f"The {kind} price of {model!r} is {value!r}; it must be dollars for a million tokens, "
            'as text like "2.50", with 9 decimals at most.'
        )
    return int(scaled)


def _names(name: str) -> tuple[str, ...]:
    bare = name.rpartition("/")[2]
    return name, bare, _SUFFIX.sub("", name), _SUFFIX.sub("", bare)
