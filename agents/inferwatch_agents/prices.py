"""What tokens cost: a dated table, and the exact price of a call in millionths of a US dollar.

The table that is shipped has list prices as they were known on its day, not today's: check yours,
and name your own file with ``init(prices=...)`` or ``INFERWATCH_PRICES``. Prices may be in any
currency of which the file has exchange rates; a call costs by the rate of its day.

A model is looked up by its name as it is, then without what stands before its last slash
(``openai/gpt-4.1``), then without the date or ``-latest`` at its end (``gpt-4.1-2025-04-14``,
``claude-sonnet-4-20250514``, ``model@20250514``). Nothing else is guessed: ``gpt-4.1-turbo`` is not
``gpt-4.1``, and what is not found costs null.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from inferwatch_agents.dated_numbers import start_of_day, whole_units
from inferwatch_agents.errors import PricesError
from inferwatch_agents.exchange_rates import PAR, UNITS, Rate, parse_rates, rate_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_agents.usage import Usage

SHIPPED: Final = "list_prices.json"
# Prices are kept as whole billionths of a millionth of their currency a token, so that sums are
# exact.
DECIMALS: Final = 9
SCALE: Final = 10**DECIMALS
# Dollars for a million tokens; a price that exceeds it is a mistake in the table.
MOST: Final = 1_000_000
# Names come from callers: so many are remembered, the others looked up each time.
MAX_FOUND: Final = 10_000
MAX_NAME: Final = 512

_SUFFIX: Final = re.compile(r"(?:[-@]20\d{2}-?[01]\d-?[0-3]\d|-latest)$")
_KINDS: Final = ("input", "cached", "cache_write", "output", "reasoning")
# What a kind costs where the table says nothing of it.
_INSTEAD: Final = {"cached": "input", "cache_write": "input", "reasoning": "output"}


class Price(NamedTuple):
    """Prices from one day on, in billionths of a millionth of their currency a token.

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
        rates: What their currency was worth, newest first.
    """

    provider: str
    prices: tuple[Price, ...]
    rates: tuple[Rate, ...] = PAR


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
            if len(self._found) < MAX_FOUND and len(name) <= MAX_NAME:
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
        usd = rate_at(model.rates, at)
        return None if price is None or usd is None else cost_of(price, used, usd)


def cost_of(price: Price, used: Usage, usd: int = UNITS) -> int | None:
    """Price of tokens in millionths of a US dollar, rounded once, half to even.

    Args:
        price: What they cost.
        used: The tokens.
        usd: What the price's currency was worth, in 10**-12 US dollars.

    Returns:
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
    one = SCALE * UNITS
    whole, rest = divmod(scaled * usd, one)
    return whole + (2 * rest > one or (2 * rest == one and whole % 2 == 1))


def load_prices(path: str | Path | None = None) -> PriceTable:
    """The table in a file, or the one that is shipped.

    Raises:
        PricesError: The file cannot be read, or is no table of prices.
    """
    source = files("inferwatch_agents").joinpath(SHIPPED) if path is None else Path(path)
    name = f"The price table {SHIPPED if path is None else path}"
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PricesError(f"{name} cannot be read: {error}.") from error
    try:
        return parse_prices(json.loads(text), name)
    except json.JSONDecodeError as error:
        raise PricesError(f"{name} is no JSON: {error}.") from error


def parse_prices(table: Any, name: str = "The price table") -> PriceTable:
    """The table of a parsed file; ``list_prices.json`` and docs/sdk.md show the form.

    Args:
        table: What the file has.
        name: What errors call it.

    Raises:
        PricesError: It has another form, or lacks an exchange rate.
    """

    def refused(wrong: str) -> PricesError:
        return PricesError(f"{name} {wrong}.")

    try:
        rates = parse_rates(table.get("exchange_rates", {}), refused)
        models: dict[str, Model] = {}
        for entry in table["models"]:
            model = _model(entry, entry.get("currency", table["currency"]), rates, refused)
            for known in (entry["model"], *entry.get("aliases", ())):
                if known in models:
                    raise refused(f"has {known!r} twice")
                models[known] = model
    except (KeyError, TypeError, AttributeError) as error:
        raise refused(
            f"lacks or has in another form: {error}; it needs currency and models, each with "
            "provider, model and prices, as in list_prices.json"
        ) from error
    return PriceTable(models)


def _model(
    entry: dict[str, Any],
    currency: str,
    rates: dict[str, tuple[Rate, ...]],
    refused: Callable[[str], PricesError],
) -> Model:
    model, known = entry["model"], rates.get(currency)
    prices = tuple(sorted(_price(model, currency, row, refused) for row in entry["prices"]))[::-1]
    if len({price.valid_from for price in prices}) < len(prices) or not prices:
        raise refused(f"needs prices of {model!r}, one a valid_from")
    if not known:
        raise refused(
            f"has prices of {model!r} in {currency!r} and no rate of it; add exchange_rates "
            f'{{"{currency}": [{{"valid_from": DAY, "usd": "DOLLARS FOR ONE {currency}"}}]}}'
        )
    if rate_at(known, prices[-1].valid_from) is None:
        day = min(row["valid_from"] for row in entry["prices"])
        raise refused(
            f"has prices of {model!r} in {currency} from {day} on and no rate of that day; add to "
            f"exchange_rates one of {currency} that is valid from {day} or before"
        )
    most = max(max(price[1:]) for price in prices) * max(rate.usd for rate in known)
    if most > MOST * SCALE * UNITS:
        raise refused(f"has a price of {model!r} above {MOST} dollars for a million tokens")
    return Model(entry["provider"], prices, known)


def _price(
    model: str, currency: str, row: dict[str, Any], refused: Callable[[str], PricesError]
) -> Price:
    try:
        start = start_of_day(row["valid_from"])
    except ValueError as error:
        raise refused(
            f"has a price of {model!r} whose valid_from is {row['valid_from']!r}, which is no date "
            "like 2025-07-01"
        ) from error
    scaled: dict[str, int] = {}
    for kind in _KINDS:
        value = row.get(kind, row.get(_INSTEAD.get(kind, kind)))
        found = whole_units(value, DECIMALS)
        if found is None:
            raise refused(
                f"has {value!r} as the {kind} price of {model!r}; it must be {currency} for a "
                f'million tokens, as text like "2.50", with {DECIMALS} decimals at most'
            )
        scaled[kind] = found
    return Price(start, **scaled)


def _names(name: str) -> tuple[str, ...]:
    bare = name.rpartition("/")[2]
    return name, bare, _SUFFIX.sub("", name), _SUFFIX.sub("", bare)
