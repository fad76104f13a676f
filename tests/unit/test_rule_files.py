"""Files of rules: what they say becomes rules, and what is wrong is told with line and field."""

import copy
import json
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import yaml
from dictionary_windows import NOW, DictionaryWindows
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from inferwatch_streams.alerts.alert import SEVERITIES
from inferwatch_streams.configuration.durations import DAY, MINUTE, SECOND, duration, duration_text
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.rules import function
from inferwatch_streams.rules.burn_rate import SLIS
from inferwatch_streams.rules.completeness import Gap
from inferwatch_streams.rules.definition import KINDS, Change, Function, Threshold
from inferwatch_streams.rules.described import row_of
from inferwatch_streams.rules.difference import difference
from inferwatch_streams.rules.evaluation import Evaluator
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.measure import EVENTS, SIGNALS
from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.rules.reading import default_rules, read_rules, schema
from inferwatch_streams.rules.texts import DETAILS, duration_in_words, rendered

GOOD = """\
rules:
- name: errors
  kind: threshold
  severity: low
  measure: error_rate
  by: [service]
  window: 5m
  above: 0.05
"""
ONE_OF_EACH = (
    GOOD
    + """\
- {kind: burn_rate, severity: low, name: b, sli: latency, bound: 500ms, objective: 0.9,
   pairs: page}
- {kind: change, severity: low, name: c, measure: latency_p95, window: 5m, against: before,
   increase: 2}
- {kind: absence, severity: low, name: d, signal: requests, silent_for: 5m}
- {kind: forecast, severity: low, name: e, measure: disk_used_ratio, window: 1h, limit: 1,
   within: 1h}
- {kind: anomaly, severity: low, name: f, measure: request_rate, window: 1h, history: 7d,
   season: 1d}
- {kind: completeness, severity: low, name: g, window: 1h, above: 0.01}
"""
)


def refusals(folder: Path, *lines: str, text: str = GOOD) -> list[str]:
    """What is wrong with a file to which lines are added, without the file's name."""
    path = folder / "r.yaml"
    path.write_text(text + "".join(f"  {line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_rules(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_a_file_becomes_rules(tmp_path: Path) -> None:
    """With lengths of time in microseconds."""
    path = tmp_path / "r.yaml"
    path.write_text(GOOD + "  for: 30s\n  where: [service=~a.*]\n  labels: {team: x}\n", "utf-8")
    (rule,) = read_rules(path)
    assert isinstance(rule, Threshold)
    assert (rule.window, rule.pending, rule.limit, rule.above) == (
        5 * MINUTE,
        30 * SECOND,
        0.05,
        True,
    )
    assert (str(rule.where[0]), rule.labels) == ('service=~"a.*"', (("team", "x"),))


def test_every_kind_can_be_written_read_and_described(tmp_path: Path) -> None:
    """As the schema, the classes and the table of details have the same kinds."""
    path = tmp_path / "r.yaml"
    path.write_text(ONE_OF_EACH, encoding="utf-8")
    rules = read_rules(path)
    assert [rule.kind for rule in rules] == [kind for kind in KINDS if kind != "function"]
    assert KINDS.keys() == DETAILS.keys()
    assert all(all(row_of(rule)) for rule in rules)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["for: soon"], "9: rules[0].for: 'soon' does not match '^[0-9]{1,9}(ms|s|m|h|d)$'"),
        (["fro: 30s"], "2: rules[0]: Additional properties are not allowed ('fro' was unexpected)"),
        (["below: 1"], "2: rules[0]: needs one of above and below"),
        (["score: 3"], "2: rules[0]: Additional properties are not allowed ('score' was"),
        (["for: 999d"], "9: rules[0].for: is longer than 366d"),
        (["where: [model]"], "9: rules[0].where[0]: 'model' is no matcher"),
        (["where: [host=a]"], "9: rules[0].where[0]: 'host' is no dimension here"),
        (["where: ['service=~[']"], "9: rules[0].where[0]: '[', which service is held to,"),
        (["summary: '{host} is {value}'"], "9: rules[0].summary: {host} is none of rule, samples,"),
        (["summary: '{value:d}'"], "9: rules[0].summary: {value:d} cannot be written so"),
        (["summary: '{service.__class__}'"], "9: rules[0].summary: {service.__class__} is no"),
        (["summary: '{value:99999999}'"], "9: rules[0].summary: {value} is no field"),
        (["summary: '{'"], "9: rules[0].summary: "),
        (["labels: {service: x}"], "9: rules[0].labels.service: is a name that the alert"),
        (["labels: {1: x}"], "9: rules[0].labels: 1 is not of type 'string'"),
        (["group_by: [team]"], "9: rules[0].group_by[0]: 'team' is no label of this rule's alerts"),
        (["runbook: gone.md"], "9: rules[0].runbook: there is no file gone.md beside this one"),
        (["min_samples: -1"], "9: rules[0].min_samples: -1 is less than the minimum of 0"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told_with_its_line(tmp_path: Path, lines: list[str], told: str) -> None:
    """And with what would be right."""
    (found,) = refusals(tmp_path, *lines)
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("error_rate", "eror_rate", "5: rules[0].measure: 'eror_rate' is not one of"),
        ("window: 5m", "window: 5s", "7: rules[0].window: '5s' is not a multiple of 10s from 10s"),
        ("window: 5m", "window: 4d", "7: rules[0].window: '4d' is not a multiple of 10s from 10s"),
        ("window: 5m", "window: 15s", "7: rules[0].window: '15s' is not a multiple of 10s"),
        ("[service]", "[service, host]", "6: rules[0].by[1]: 'host' is no dimension here"),
        ("low", "high", "2: rules[0]: a rule of the severity high needs a runbook"),
        ("low", "huge", "4: rules[0].severity: 'huge' is not one of"),
        ("threshold", "treshold", "3: rules[0].kind: 'treshold' is not one of"),
        ("0.05", ".nan", "8: rules[0].above: is not a number that anything could reach"),
        ("0.05", "1" + "0" * 400, "8: rules[0].above: is not a number that anything could reach"),
        ("  above: 0.05\n", "", "2: rules[0]: needs one of above and below"),
    ],
)
def test_a_field_that_cannot_be_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    """Also where the schema cannot say it."""
    (found,) = refusals(tmp_path, text=GOOD.replace(old, new))
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("b, bound: 5s", "sli: latency needs bound"),
        ("b, budget_usd: 5", "budget_usd: has no meaning for latency"),
        ("b, pairs: [{long: 1m, short: 1h, factor: 2}]", "pairs[0].long: must be longer"),
        ("c, measure: latency_mean", "measure: latency_mean has no histogram to test"),
        ("c, window: 2d, against: yesterday", "window: overlaps the one 1d before it"),
        ("c, window: 3d, against: last_week", "against: reaches back further than the 8d"),
        ("c, against: {dimension: model, past: 1d}", "against.dimension: 'model' has to be one of"),
        ("c, against: {dimension: model}", "against: "),
        ("d, past: 9d", "past: is longer than the 8d"),
        ("d, past: 1m", "past: past must be longer than silent_for"),
        ("d, silent_for: 1s", "silent_for: is shorter than a window of 10s"),
        ("e, within: 0s", "within: is no time at all"),
        ("e, by: [metric]", "by[0]: disk_used_ratio cannot be told apart by 'metric'"),
        ("e, where: [metric=x]", "where[0]: disk_used_ratio says already which metric"),
        ("e, measure: increase(gpu_energy_joules)", "measure: is of one device alone"),
        ("f, window: 10m", "window: has to be a multiple of 1h"),
        ("f, season: 90m", "season: has to be a multiple of the window"),
        ("f, history: 1d", "history: has to hold the season twice"),
        ("f, history: 9d", "history: reaches back further than the 8d"),
        ("f, direction: rising", "direction: 'rising' is not one of ['above', 'below', 'both']"),
        ("g, by: [service]", "by[0]: 'service' is no dimension here, which has topic, source,"),
    ],
)
def test_what_a_kind_cannot_do_is_told(tmp_path: Path, rule: str, told: str) -> None:
    """Each with the field that is to be changed."""
    name, changes = rule.split(", ", 1)
    data = yaml.safe_load(ONE_OF_EACH)
    (base,) = (each for each in data["rules"] if each["name"] == name)
    base.update(yaml.safe_load(f"{{{changes}}}"))
    if told == "sli: latency needs bound":
        del base["bound"]
    found = refusals(tmp_path, text=yaml.safe_dump({"rules": [base]}, sort_keys=False))
    assert any(line.split(": ", 1)[1].startswith(f"rules[0].{told}") for line in found), found


def test_a_name_that_is_given_twice_is_told(tmp_path: Path) -> None:
    """With the rule that has it already."""
    (found,) = refusals(tmp_path, text=GOOD + GOOD.removeprefix("rules:\n"))
    assert found == "9: rules[1].name: 'errors' is the name of rules[0], too"


def test_the_rules_in_the_documents_are_sound(tmp_path: Path) -> None:
    """Each example can be copied; only its own runbooks it cannot bring along."""
    document = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", document, flags=re.DOTALL)
    for number, text in enumerate(examples):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        assert read_rules(path)
    named = "".join(document.partition("## Measures")[2].partition("## The rules")[0].split())
    for name in MEASURES:
        short = re.sub(r"^.*(?=_p9|_mean)", "", name)
        resource = re.fullmatch(r"(avg|max|min)\(.*\)", name)
        assert f"`{name}`" in named or f"`{short}`" in named or resource, name
    assert all(f"`{kind}`" in document for kind in KINDS)


def test_shipped_rules_can_be_kept_replaced_and_left_out(tmp_path: Path) -> None:
    """And get a base for their runbooks."""
    path = tmp_path / "r.yaml"
    path.write_text(
        "defaults: true\nwithout: [gpu-ecc]\nrunbooks: https://wiki.example.com/x\n"
        + GOOD.replace("name: errors", "name: error-rate"),
        encoding="utf-8",
    )
    rules = {rule.name: rule for rule in read_rules(path)}
    shipped = {rule.name for rule in default_rules()}
    assert rules.keys() == shipped - {"gpu-ecc"}
    assert rules["error-rate"].severity == "low"
    assert rules["disk-full"].runbook == "https://wiki.example.com/x/docs/runbooks/disk-full.md"
    path.write_text("defaults: true\nwithout: [gone]\nrules: []\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r":2: without\[0\]: 'gone' is no shipped rule"):
        read_rules(path)


def test_the_schema_knows_what_the_code_knows() -> None:
    """Measures, signals, service levels, severities and kinds."""
    rule = schema()["$defs"]["rule"]["properties"]
    assert schema()["$defs"]["measure"]["enum"] == list(MEASURES)
    assert rule["signal"]["enum"] == list(SIGNALS) == list(EVENTS)
    assert rule["sli"]["enum"] == list(SLIS)
    assert rule["severity"]["enum"] == list(SEVERITIES)
    assert rule["kind"]["enum"] == list(KINDS)
    assert all("description" in each for each in rule.values())
    for kind in schema()["$defs"]["rule"]["allOf"]:
        assert kind["then"]["properties"].keys() <= rule.keys()


_KINDS = schema()["$defs"]["rule"]["allOf"]
_SENSE = {
    "measure": MEASURES, "sli": SLIS, "signal": SIGNALS, "where": [["service=a"], ["host!=x"]],
    "by": [["service"], ["service", "model"], ["host", "device"], ["topic"]],
    "window": ["10s", "10m", "1h", "1d", "3d"], "against": ["before", "yesterday", "last_week"],
    "min_samples": [1, 5], "above": [-1, 0], "limit": [-1, 0], "decrease": [0.5], "score": [0.1],
    "season": ["1h", "1d"], "history": ["10h", "2d"], "summary": ["{value} {threshold:.1f}"],
}  # fmt: skip
_PARSED = yaml.safe_load(ONE_OF_EACH)
_LETTERS = st.text("az{:} é", max_size=8)
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), _LETTERS,
    st.sampled_from(["0s", "10s", "999999999d", "1h", "{", "{value!r}", "service=a", "before"]),
    st.lists(_LETTERS, max_size=2), st.dictionaries(_LETTERS, st.integers(), max_size=2),
)  # fmt: skip


@st.composite
def drawn_rules(draw: st.DrawFn) -> dict[str, Any]:
    """A rule of some kind, two fields of which say anything."""
    rule: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(_PARSED["rules"])))
    (allowed,) = (
        sorted(each["then"]["properties"])
        for each in _KINDS
        if each["if"]["properties"]["kind"]["const"] == rule["kind"]
    )
    for field in draw(st.lists(st.sampled_from(allowed), max_size=2)):
        rule[field] = draw(st.one_of(JUNK, st.sampled_from(list(_SENSE.get(field, [None])))))
    return rule


@settings(max_examples=150, deadline=None)
@given(rule=drawn_rules())
def test_whatever_a_file_says_is_refused_or_can_be_evaluated(
    tmp_path_factory: pytest.TempPathFactory, rule: dict[str, Any]
) -> None:
    """By the one error that tells of it; a rule that is taken does not fail."""
    path = tmp_path_factory.getbasetemp() / "drawn.yaml"
    path.write_text(json.dumps({"rules": [rule]}), encoding="utf-8")
    try:
        rules = read_rules(path)
    except ConfigurationError:
        return
    found = Evaluator(_NoGaps()).tick(rules, _BUSY, NOW)
    assert found.failures == {}
    for each in found.findings[rule["name"]]:
        assert all(isinstance(text, str) for text in rules[0].render(each))


class _NoGaps:
    def gaps(self, start: int, end: int) -> list[Gap]:
        assert start < end
        return [Gap("t", "s", "p", 10, 5)]


def _busy() -> DictionaryWindows:
    windows = DictionaryWindows()
    for minute in (0, 1, 2, 30, 60, 1440, 10_080):
        for model in ("m", "n"):
            at = NOW - minute * MINUTE - SECOND
            windows.calls({"service": "a", "model": model}, at, 9, errors=minute % 7, usd=minute)
            windows.samples({"host": "h", "device": "d", "metric": "disk_used_bytes"}, at, minute)
            windows.samples({"host": "h", "device": "d", "metric": "disk_total_bytes"}, at, 100)
    return windows


_BUSY = _busy()


@settings(deadline=None)
@given(st.integers(0, 400 * DAY // 1000).map(lambda milliseconds: milliseconds * 1000))
def test_a_length_of_time_is_read_as_it_is_written(length: int) -> None:
    """To the millisecond."""
    text = duration_text(length)
    assert len(text) > 11 or duration(text) == length


def test_numbers_are_written_in_their_units() -> None:
    """A share as per cent, a time in parts; what is unknown stands as a dash."""
    finding = Finding(
        labels={"service": "{value}"}, value=0.0712, threshold=0.05, samples=30,
        details={"window": 300.0},
    )  # fmt: skip
    rule = Threshold(name="r", severity="low", measure="error_rate", window=1, limit=1, above=True)
    text = "{service}: {value} > {threshold:.2f} of {samples} in {window}, {other}"
    assert rendered(text, finding, rule) == "{value}: 7.12 % > 0.05 of 30 in 5 m, -"
    assert rendered("{value:d}", finding, rule) == "0.0712"
    assert duration_in_words(100_000) == "1 d 3 h"


def test_a_reload_says_which_alerts_begin_anew() -> None:
    """Those whose condition is another; a text or severity changes nothing of it."""
    base: dict[str, Any] = {
        "measure": "error_rate", "window": MINUTE, "limit": 1.0, "above": True, "severity": "low"
    }  # fmt: skip
    old = [Threshold(name=name, **base) for name in "abcd"]
    new = [
        old[0],
        Threshold(name="b", **{**base, "limit": 2.0}),
        Threshold(name="c", **{**base, "severity": "high"}, summary="x", pending=MINUTE),
        Threshold(name="e", **base),
    ]
    found = difference(old, new)
    assert (found.kept, found.changed, found.retold) == (("a",), ("b",), ("c",))
    assert (found.added, found.removed) == (("e",), ("d",))
    assert str(found) == "1 added (e), 1 removed (d), 1 changed (b), 1 retold (c)"
    assert not difference(old, list(reversed(old)))


def test_the_id_of_a_condition_is_stable() -> None:
    """A later version of this program must not resolve all alerts."""
    rule = Function(name="f", severity="low", function="x", parameters={"b": [1], "a": {2: "c"}})
    same = Function(name="f", severity="high", function="x", parameters={"a": {2: "c"}, "b": [1]})
    assert rule.condition_id == same.condition_id
    threshold = Threshold(
        name="a", severity="low", measure="error_rate", window=MINUTE, limit=0.05, above=True
    )
    assert threshold.condition_id == "ac828355438f110c"


def two_findings(_: Any, at: int, parameters: Any) -> list[Finding]:
    """What a team might write."""
    if parameters.get("garbage"):
        return [Finding(labels={"x": "1"}, value=float("nan"), threshold=None, samples=None)]
    if parameters.get("broken"):
        raise ZeroDivisionError("as teams do")
    assert at == NOW
    return [Finding(labels={"x": "1"}, value=1.0, threshold=parameters["limit"], samples=None)]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A function, installed as an entry point."""
    point = EntryPoint("team_rule", f"{__name__}:two_findings", function.GROUP)
    broken = EntryPoint("broken_import", "no.such.module:f", function.GROUP)
    points = EntryPoints([point, broken])
    monkeypatch.setattr(function, "entry_points", points.select)
    function.loaded.cache_clear()
    yield
    function.loaded.cache_clear()


@pytest.mark.usefixtures("installed")
def test_a_function_that_raises_is_told_once_and_stops_no_other() -> None:
    """Until it works again."""
    good = Function(
        name="good", severity="low", function="team_rule", parameters={"limit": 3.0},
        labels=(("team", "x"),),
    )  # fmt: skip
    bad = Function(name="bad", severity="low", function="team_rule", parameters={"broken": 1})
    lost = Function(name="lost", severity="low", function="gone")
    evaluator = Evaluator()
    with capture_logs() as logs:
        evaluator.tick([bad, lost, good], DictionaryWindows(), NOW)
        found = evaluator.tick([bad, lost, good], DictionaryWindows(), NOW)
    assert sorted(log["rule"] for log in logs) == ["bad", "lost"]
    (finding,) = found.findings["good"]
    assert (finding.labels, finding.threshold) == ({"x": "1", "team": "x"}, 3.0)
    assert found.findings.keys() == {"good"}
    assert "ZeroDivisionError('as teams do')" in found.failures["bad"]
    assert "installed are: broken_import, team_rule" in found.failures["lost"]
    garbage = Function(name="g", severity="low", function="team_rule", parameters={"garbage": 1})
    assert "no Finding" in evaluator.tick([garbage], DictionaryWindows(), NOW).failures["g"]
    with capture_logs() as logs:
        evaluator.tick([good], DictionaryWindows(), NOW)
        evaluator.tick([bad], DictionaryWindows(), NOW)
    assert [log["rule"] for log in logs] == ["bad"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "told"), [("gone", "There is no function 'gone'"), ("broken_import", "be imported")]
)
def test_a_function_that_is_not_there_is_told(tmp_path: Path, name: str, told: str) -> None:
    """With those that are."""
    text = f"rules:\n- {{name: x, kind: function, severity: low, function: {name}}}\n"
    (found,) = refusals(tmp_path, text=text)
    assert "rules[0].function" in found
    assert told in found


def test_the_change_of_a_shipped_rule_is_of_the_kind_it_says() -> None:
    """The rule against the version before reads it from the default file."""
    (rule,) = (each for each in default_rules() if each.name == "model-regression")
    assert isinstance(rule, Change)
    assert (rule.against.dimension, rule.against.value, rule.against.past) == ("model", None, DAY)
