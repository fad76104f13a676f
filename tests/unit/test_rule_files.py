"""Files of rules: what they say becomes rules, and what is wrong is told with line and field."""

import re
from pathlib import Path

import pytest
import yaml
from written_rules import GOOD, ONE_OF_EACH, refusals

from inferwatch_streams.alerts.alert import SEVERITIES
from inferwatch_streams.configuration.durations import DAY, MINUTE, SECOND
from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.rules.burn_rate import SLIS
from inferwatch_streams.rules.definition import KINDS, Change, Threshold
from inferwatch_streams.rules.described import row_of
from inferwatch_streams.rules.measure import EVENTS, SIGNALS
from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.rules.reading import default_rules, read_rules, schema
from inferwatch_streams.rules.texts import DETAILS


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


def test_the_change_of_a_shipped_rule_is_of_the_kind_it_says() -> None:
    """The rule against the version before reads it from the default file."""
    (rule,) = (each for each in default_rules() if each.name == "model-regression")
    assert isinstance(rule, Change)
    assert (rule.against.dimension, rule.against.value, rule.against.past) == ("model", None, DAY)
