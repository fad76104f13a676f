"""Prices: exact arithmetic, dates, names, and tables that are none."""

import json
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.load.models import SERVICES
from inferwatch_agents.errors import ConfigurationError, PricesError
from inferwatch_agents.prices import SHIPPED, load_prices, parse_prices
from inferwatch_agents.usage import Usage

PACKAGE = Path(__file__).parents[2] / "agents/inferwatch_agents"
DAY = 86_400_000_000
# 2025-07-01.
AT = 1_751_328_000_000_000
TABLE: dict[str, Any] = {
    "currency": "USD",
    "models": [
        {
            "provider": "openai",
            "model": "gpt-x",
            "aliases": ["gpt-y"],
            "prices": [
                {"valid_from": "2025-01-01", "input": "2", "cached": "0.5", "output": "8"},
                {"valid_from": "2025-07-01", "input": "1", "output": "4", "reasoning": "6"},
            ],
        },
        {
            "provider": "openai",
            "model": "gpt-x-2024-05-13",
            "prices": [{"valid_from": "2024-05-13", "input": "5", "output": "15"}],
        },
    ],
}
money = st.decimals(0, 1000, places=9)
count = st.integers(0, 10**9)


def table_of(**prices: str) -> Any:
    """A table of one model."""
    row = {"valid_from": "2025-01-01"} | prices
    return {
        "currency": "USD", "models": [{"provider": "p", "model": "m", "prices": [row]}],
    }  # fmt: skip


@given(money, money, money, money, money, count, count, count, count, count)
def test_costs_are_exact_and_rounded_half_to_even(  # noqa: PLR0913, PLR0917  # one of each kind
    fresh_price: Decimal, cached_price: Decimal, write_price: Decimal, output_price: Decimal,
    reasoning_price: Decimal, fresh: int, cached: int, written: int, plain: int, reasoning: int,
) -> None:  # fmt: skip
    """The whole is the sum of the parts in exact decimals, rounded once."""
    kinds = {
        "input": fresh_price, "cached": cached_price, "cache_write": write_price,
        "output": output_price, "reasoning": reasoning_price,
    }  # fmt: skip
    prices = parse_prices(table_of(**{kind: str(price) for kind, price in kinds.items()}))
    used = Usage(fresh + cached + written, plain + reasoning, cached, reasoning, written)
    exact = (
        fresh * fresh_price + cached * cached_price + written * write_price
        + plain * output_price + reasoning * reasoning_price
    )  # fmt: skip
    expected = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    assert prices.cost(("m",), "p", used, AT) == expected


@pytest.mark.parametrize(("price", "tokens", "cost"), [("0.5", 1, 0), ("0.5", 3, 2), ("1.5", 1, 2)])
def test_a_half_goes_to_the_even_neighbour(price: str, tokens: int, cost: int) -> None:
    """So that the rounding of many calls does not add up to one side."""
    prices = parse_prices(table_of(input=price, output="0"))
    assert prices.cost(("m",), None, Usage(tokens), AT) == cost


def test_what_is_not_priced_on_its_own_costs_as_its_whole() -> None:
    """Cached and written tokens cost as input, reasoning as output, unless the table says."""
    prices = parse_prices(TABLE)
    used = Usage(1000, 100, 400, 50, 100)
    assert prices.cost(("gpt-x",), "openai", used, AT - 1) == 600 * 2 + 200 + 100 * 8
    assert prices.cost(("gpt-x",), "openai", used, AT) == 1000 + 50 * 4 + 50 * 6


def test_a_price_holds_from_its_day_on() -> None:
    """Calls before the first day have no price; a later row replaces an earlier one."""
    prices = parse_prices(TABLE)
    used = Usage(1, 0)
    days = (AT - 182 * DAY, AT - 1, AT, AT + 1000 * DAY)
    assert [prices.cost(("gpt-x",), None, used, day) for day in days] == [None, 2, 1, 1]


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("gpt-x", 1), ("gpt-y", 1), ("gpt-x-2025-04-14", 1), ("gpt-x-20250414", 1),
        ("gpt-x@20250414", 1), ("gpt-x-latest", 1), ("openai/gpt-x", 1),
        ("openai/gpt-x-2025-04-14", 1), ("gpt-x-2024-05-13", 5),
        ("gpt-x-mini", None), ("gpt", None), ("GPT-X", None), ("my-gpt-x", None), ("", None),
        ("gpt-x-2025", None), ("gpt-x-9999-99-99", None), (None, None),
    ],
)  # fmt: skip
def test_names_are_found_by_the_rule_and_nothing_else(name: str | None, cost: int | None) -> None:
    """Exactly, without a path, without a date; what is not found costs null, not 0."""
    assert parse_prices(TABLE).cost((name,), None, Usage(1, 0), AT) == cost


def test_the_first_name_with_a_price_counts() -> None:
    """The response's model is more exact than the request's, where the table knows it."""
    prices = parse_prices(TABLE)
    assert prices.cost(("gpt-x-2024-05-13", "gpt-x"), None, Usage(1, 0), AT) == 5
    assert prices.cost(("unheard-of", "gpt-x"), None, Usage(1, 0), AT) == 1


def test_another_providers_price_is_not_taken() -> None:
    """Who serves a model of the same name himself pays something else."""
    prices = parse_prices(TABLE)
    assert prices.cost(("gpt-x",), "vllm", Usage(1, 0), AT) is None


@pytest.mark.parametrize(
    "used",
    [Usage(), Usage(1), Usage(None, 1), Usage(1, 1, 2), Usage(1, 1, 0, 2), Usage(5, 1, 3, 0, 3)],
)
def test_counts_that_are_unknown_or_impossible_cost_null(used: Usage) -> None:
    """A part of a price would be taken for the whole."""
    assert parse_prices(TABLE).cost(("gpt-x",), None, used, AT) is None


def test_what_is_free_need_not_be_counted() -> None:
    """Embeddings have no output."""
    prices = parse_prices(table_of(input="0.02", output="0"))
    assert prices.cost(("m",), None, Usage(1000), AT) == 20


def row(**changes: Any) -> Any:
    """A table whose only price is changed."""
    return table_of(**({"input": "1", "output": "1"} | changes))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (row(input=2.5), "USD for a million tokens"),
        (row(input="-1"), "USD for a million tokens"),
        (row(input="NaN"), "USD for a million tokens"),
        (row(input="one"), "USD for a million tokens"),
        (row(input="0.0000000001"), "9 decimals"),
        (row(input="1." + "0" * 40 + "1"), "9 decimals"),
        (row(input="1e999999999"), "USD for a million tokens"),
        (row(input="1000000.1"), "above 1000000 dollars"),
        (row(valid_from="July"), "no date like"),
        (TABLE | {"models": TABLE["models"] * 2}, "twice"),
        ({"currency": "USD", "models": [{"provider": "p", "model": "m", "prices": []}]}, "needs"),
        ({"currency": "USD"}, "models"),
        ([], "form"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_one_sentence(table: Any, said: str) -> None:
    """What is wrong is named when the table is read."""
    with pytest.raises(PricesError, match=said):
        parse_prices(table)


def in_euros(**rates: str) -> Any:
    """A table of one model in euros that cost so much from these days on: ``on_20250101="1.5"``."""
    table = table_of(input="1", output="2")
    table["models"][0]["currency"] = "EUR"
    table["exchange_rates"] = {
        "EUR": [{"valid_from": day.removeprefix("on_"), "usd": usd} for day, usd in rates.items()]
    }
    return table


@given(
    st.decimals(0, 1000, places=9), count,
    st.dictionaries(st.integers(0, 400), st.decimals("0.000001", 100, places=12), max_size=5),
    st.integers(0, 500),
)  # fmt: skip
def test_other_currencies_cost_by_the_rate_of_the_day(
    price: Decimal, tokens: int, later: dict[int, Decimal], day: int
) -> None:
    """Tokens times price times the newest rate of the day or before, in exact numbers."""
    first = date(2025, 1, 1)
    rates = {0: Decimal("1.0353")} | later
    table = table_of(input=str(price), output="0")
    table["currency"] = "EUR"
    table["exchange_rates"] = {
        "EUR": [
            {"valid_from": str(first + timedelta(days)), "usd": format(usd, "f")}
            for days, usd in rates.items()
        ]
    }
    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    exact = tokens * Fraction(price) * Fraction(rates[max(days for days in rates if days <= day)])
    prices = parse_prices(table)
    # Python rounds fractions half to even, too.
    assert prices.cost(("m",), None, Usage(tokens), start + day * DAY) == round(exact)
    assert prices.cost(("m",), None, Usage(tokens), start - 1) is None
    assert prices.cost(("another",), None, Usage(tokens), start) is None


def test_a_model_may_have_a_currency_of_its_own() -> None:
    """In place of the table's; the others keep theirs."""
    table = in_euros(on_20250101="1.5", on_20250701="2")
    table["models"].append(TABLE["models"][0])
    prices = parse_prices(table)
    used = Usage(10, 10)
    assert [prices.cost(("m",), None, used, at) for at in (AT - 1, AT)] == [45, 60]
    assert prices.cost(("gpt-x",), None, used, AT) == 50


def euros(rows: Any, currency: str = "EUR") -> Any:
    """The table in euros with other rates."""
    return in_euros() | {"exchange_rates": {currency: rows}}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE | {"currency": "EUR"}, r"mine.json has prices of 'gpt-x' in 'EUR' and no rate"),
        (euros([]), "'m' in 'EUR' and no rate of it; add exchange_rates"),
        (in_euros(on_20250102="1"), "'m' in EUR from 2025-01-01 on and no rate of that day; add"),
        (in_euros(on_20250101="0"), "'0' as a rate of EUR; .* above 0"),
        (in_euros(on_20250101="-1"), "US dollars for one EUR"),
        (in_euros(on_20250101="1e-13"), "12 decimals"),
        (in_euros(on_20250101="2000000"), "'m' above 1000000 dollars"),
        (in_euros(on_20250101="1", on_yesterday="1"), "'yesterday'; it must be a day like"),
        (euros([{"valid_from": "2025-01-01", "usd": "1"}] * 2), "two rates of EUR"),
        (euros([{"valid_from": "2025-01-01", "usd": 1.5}]), "as text"),
        (euros([{"valid_from": "2025-01-01"}]), "another form: 'usd'"),
        (euros("1.5"), "another form"),
        (euros([], "Euro"), "'Euro', which is no code of ISO 4217"),
        (euros([], "USD"), "rates of USD"),
    ],
)
def test_a_currency_without_a_rate_is_one_sentence(table: Any, said: str) -> None:
    """It names the file, the model and what to add, at the start and not when a call ends."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        parse_prices(table, "mine.json")
    assert str(caught.value).startswith("mine.json ")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """A missing file and one that is no JSON are told apart."""
    with pytest.raises(PricesError, match="cannot be read"):
        load_prices(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(PricesError, match="no JSON"):
        load_prices(tmp_path / "bad.json")
    (tmp_path / "good.json").write_text(json.dumps(TABLE), encoding="utf-8")
    assert load_prices(tmp_path / "good.json").model("gpt-x") is not None


def test_the_shipped_table_says_of_which_day_it_is() -> None:
    """List prices change; nobody is to take them for today's."""
    table = json.loads((PACKAGE / SHIPPED).read_text(encoding="utf-8"))
    assert f"as known on {table['as_of']}" in table["about"]
    assert "check yours" in table["about"]
    for model in table["models"]:
        assert all(price["valid_from"] <= table["as_of"] for price in model["prices"])


def test_the_generated_loads_models_are_in_the_table() -> None:
    """By both of their names; a self-hosted one has no price."""
    shipped = load_prices()
    for model in {model for service in SERVICES for model, _ in service.models}:
        found = [shipped.model(name) for name in (model.name, model.release)]
        assert found[0] == found[1]
        assert (found[0] is None) == (model.provider == "vllm")
        assert found[0] is None or found[0].provider == model.provider


def test_what_callers_name_takes_bounded_memory() -> None:
    """A model's name may be as long as a request: such a one is looked up, and not remembered."""
    table = load_prices()
    sizes = []
    tracemalloc.start()
    try:
        for number in range(40):
            assert table.model(f"{number}/{'m' * 100_000}") is None
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[-1] - sizes[0] < 1_000_000
