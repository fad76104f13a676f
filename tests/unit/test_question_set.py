"""Sets of questions: what a line says, and one sentence for a line that is none."""

from pathlib import Path

import pytest

from inferwatch_agents.errors import QuestionSetError
from inferwatch_agents.evaluation.question_set import (
    Question,
    parse_question_set,
    read_question_set,
)

GOOD = '{"id": "a", "input": "Q?"}'


def test_a_file_is_read_with_all_that_its_lines_say(tmp_path: Path) -> None:
    """Also one with a byte order mark, blank lines, and separators of lines inside a text."""
    file = tmp_path / "capitals.jsonl"
    lines = [
        '{"id": "a", "input": "Q\u2028?", "expected": "A", "tags": ["x"], "judge": "exact"}',
        "",
        '{"id": "b", "input": {"q": 1}, "judge": {"name": "numeric", "absolute": 1}}\r',
    ]
    file.write_bytes("\ufeff".encode() + "\n".join(lines).encode())
    found = read_question_set(file)
    assert found.questions == (
        Question("a", "Q\u2028?", "A", ("x",), "exact", f"{file}, line 1"),
        Question("b", {"q": 1}, None, (), {"name": "numeric", "absolute": 1}, f"{file}, line 3"),
    )
    assert read_question_set(file, "mine-2").name == "mine-2"


def test_another_content_is_another_version(tmp_path: Path) -> None:
    """Scores of two versions of a set are not those of one."""
    names = set()
    for content in (GOOD, GOOD + "\n", GOOD):
        (tmp_path / "s.jsonl").write_text(content, encoding="utf-8")
        names.add(read_question_set(tmp_path / "s.jsonl").name)
    assert len(names) == 2
    assert all(name.startswith("s@") and len(name) == 10 for name in names)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no object"),
        ('{"id": "b", "input": NaN}', "NaN is no number of JSON"),
        ('{"input": "Q"}', "id is missing; it must be a text"),
        ('{"id": 5, "input": "Q"}', "id is 5; it must be a text"),
        ('{"id": "", "input": "Q"}', "id is ''; it must be a text"),
        ('{"id": "b"}', "input is missing; it must be a text or an object"),
        ('{"id": "b", "input": ["Q"]}', r"input is \['Q'\]; it must be"),
        ('{"id": "b", "input": "Q", "expcted": "A"}', "expcted is no field of a question"),
        ('{"id": "b", "input": "Q", "tags": "x"}', "tags is 'x'; it must be a list of texts"),
        ('{"id": "b", "input": "Q", "tags": [1]}', r"tags is \[1\]; it must be a list of texts"),
        ('{"id": "b", "input": "Q", "judge": 1}', "judge is 1; it must be a judge's name"),
        (GOOD, "id 'a' is that of set.jsonl, line 1, too"),
    ],
)
def test_a_bad_line_is_named_by_file_line_and_field(line: str, said: str) -> None:
    """Whoever wrote it finds it at once."""
    with pytest.raises(QuestionSetError, match=rf"^set.jsonl, line 3.*{said}"):
        parse_question_set([GOOD, "", line], "set.jsonl", "set")


def test_a_file_without_questions_is_one_sentence(tmp_path: Path) -> None:
    """Missing, no text, or empty."""
    with pytest.raises(QuestionSetError, match="cannot be read"):
        read_question_set(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(QuestionSetError, match="cannot be read"):
        read_question_set(tmp_path / "bytes")
    with pytest.raises(QuestionSetError, match="has no question"):
        parse_question_set([""], "set.jsonl", "set")
