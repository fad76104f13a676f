"""Runbooks: each shipped rule has one, and what it asks of ClickHouse can be asked."""

import re
from pathlib import Path

import pytest

from inferwatch.embedded.clickhouse import EmbeddedClickHouse
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_clickhouse.migrate import migrate
from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_streams.rules.definition import Rule
from inferwatch_streams.rules.reading import default_rules

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
ASKED = re.compile(r'^    inferwatch query "(.*?)"$', re.MULTILINE | re.DOTALL)
PARTS = ["First look", "Likely causes", "What to do", "To silence it"]


@pytest.mark.parametrize("rule", default_rules(), ids=lambda rule: str(rule.name))
def test_each_shipped_rule_has_its_page(rule: Rule) -> None:
    """It is linked, has all parts, and names the rule where it says how to silence it."""
    assert rule.runbook is not None
    text = (ROOT / rule.runbook).read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == PARTS
    assert f'`rule="{rule.name}"`' in text.partition("## To silence it")[2]
    assert rule.summary
    assert rule.description


def test_each_page_is_of_a_shipped_rule_and_linked() -> None:
    """And the page on rules leads to all of them."""
    shipped = {rule.runbook for rule in default_rules()}
    pages = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert pages == shipped
    linked = re.findall(r"\]\((runbooks/[^)]+)\)", (ROOT / "docs/rules.md").read_text("utf-8"))
    assert {f"docs/{page}" for page in linked} == pages


def test_what_runbooks_ask_can_be_asked(tmp_path: Path) -> None:
    """Every column and function exists in the tables and views as migrated."""
    asked = [
        (page.name, re.sub(r"\s+", " ", sql))
        for page in PAGES
        for sql in re.findall(
            r'^    inferwatch query "(.*?)"$', page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
    ]
    assert {name for name, _ in asked} == {page.name for page in PAGES}
    with EmbeddedClickHouse(tmp_path / "data", tmp_path) as server:
        settings = ClickHouseSettings(url=server.url)
        migrate(settings)
        clickhouse = ClickHouse(settings)
        for name, sql in asked:
            assert clickhouse.query(f"EXPLAIN {sql}"), name
