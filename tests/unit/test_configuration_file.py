"""Files of configuration: what is wrong is told with file, line and field."""

from pathlib import Path

import pytest

from inferwatch_streams.configuration.file import ConfigurationFile
from inferwatch_streams.errors import ConfigurationError

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "for": {"type": "number"}},
            },
        }
    },
}


def refusal(text: str) -> str:
    """The message by which a text is refused."""
    with pytest.raises(ConfigurationError) as caught:
        ConfigurationFile("r.yaml", text, SCHEMA)
    return str(caught.value)


def test_a_sound_file_is_read_and_knows_its_lines(tmp_path: Path) -> None:
    """Checks beyond the schema can name the line, too."""
    path = tmp_path / "r.yaml"
    path.write_text("rules:\n- name: a\n- name: b\n  for: 3\n", encoding="utf-8")
    file = ConfigurationFile.read(path, SCHEMA)
    assert file.data == {"rules": [{"name": "a"}, {"name": "b", "for": 3}]}
    assert file.line(("rules", 1, "for")) == 4
    assert file.line(("rules", 1, "absent")) == 3
    with pytest.raises(ConfigurationError, match=r"r\.yaml:4: rules\[1\]\.for: too long$"):
        file.refuse([file.problem(("rules", 1, "for"), "too long")])


def test_every_field_that_is_wrong_is_told() -> None:
    """One line each, in the order of the file."""
    text = "rules:\n- name: a\n  for: soon\n- for: 3\nother: 1\n"
    assert refusal(text).splitlines() == [
        "r.yaml:1: Additional properties are not allowed ('other' was unexpected)",
        "r.yaml:3: rules[0].for: 'soon' is not of type 'number'",
        "r.yaml:4: rules[1]: 'name' is a required property",
    ]


def test_a_field_given_twice_is_told() -> None:
    """YAML's readers would silently take the last."""
    assert refusal("rules: []\nrules: []\n") == "r.yaml:2: rules: is given twice"


def test_a_merged_field_may_be_replaced() -> None:
    """Which is what merging is for; one that is written twice is told as ever."""
    text = "rules:\n- &a {name: a, for: 1}\n- <<: *a\n  name: b\n"
    file = ConfigurationFile("r.yaml", text, SCHEMA)
    assert file.data["rules"][1] == {"name": "b", "for": 1}
    assert file.line(("rules", 1, "name")) == 4
    assert refusal(text + "  name: c\n") == "r.yaml:5: rules[1].name: is given twice"


@pytest.mark.parametrize("text", ["rules: [", "a: b: c", "\t- x", "rules: !!python/object:os {}"])
def test_what_is_no_yaml_is_told(text: str) -> None:
    """With the line where it ends to be."""
    assert refusal(text).startswith("r.yaml:1: ")


def test_an_empty_file_is_told() -> None:
    """It says nothing."""
    assert refusal("") == "r.yaml:1: None is not of type 'object'"


def test_aliases_of_aliases_are_refused() -> None:
    """A small file that unfolds to billions of fields."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than" in refusal("\n".join(lines))
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9)]
    assert "more than" in refusal("\n".join(lines))


@pytest.mark.parametrize(
    "text", ["a: &x [*x]", "[" * 5000, "- " * 5000, "[" * 5000 + "\n", "a: !!int "]
)
def test_what_holds_itself_or_has_no_end_is_refused(text: str) -> None:
    """It would exhaust the stack."""
    assert refusal(text).startswith("r.yaml: is no YAML: ")


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize(
    "value",
    ["!!timestamp y", "!!bool y", "!!timestamp {=: y}", "1:" * 400 + "1.0"],
    ids=["no-time", "no-truth", "no-text", "too-large"],
)
def test_a_value_that_is_not_what_it_says_is_told(value: str, end: str) -> None:
    """PyYAML has errors of many kinds for it, and a role that reads its file again goes on."""
    assert refusal(f"a: {value}{end}") == (
        "r.yaml: is no YAML: a value is not what its tag or its form says"
    )


@pytest.mark.parametrize("value", ["!!int ''", "2001-99-99"])
def test_a_number_or_date_that_is_none_is_told(value: str) -> None:
    """Of these Python says itself what is wrong, or nothing that helps."""
    assert refusal(f"a: {value}\n").startswith("r.yaml: is no YAML: ")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """It is absent, or no text."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ConfigurationFile.read(tmp_path / "absent.yaml", SCHEMA)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ConfigurationFile.read(tmp_path / "bytes.yaml", SCHEMA)


@pytest.mark.parametrize("text", ['a: "\\ud800"', '"\\udfff": 1', 'a: [x, "y\\udc00z"]'])
def test_half_of_a_character_is_refused(text: str) -> None:
    """It is text to Python, and can be neither sent nor shown: the first alert with it would."""
    assert "r.yaml:1: " in refusal(text)
    assert "half of a character" in refusal(text)
