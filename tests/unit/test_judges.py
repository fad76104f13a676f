"""Judges: what passes, and what an answer's number is."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch_agents.errors import ConfigurationError
from inferwatch_agents.evaluation import Question, contains, exact_match, numeric
from inferwatch_agents.evaluation.judges import Judge, judge_of, number_in, worth

decimals = st.decimals(-(10**9), 10**9, places=6)


def passes(judge: Judge, expected: Any, answer: str) -> bool:
    """Whether an answer passes."""
    assert judge.suits(expected)
    said = judge.score(Question("q", "?", expected), answer)
    assert isinstance(said, bool)
    return said


@pytest.mark.parametrize(
    ("expected", "answer", "as_it_is", "normalised"),
    [
        ("Paris", "Paris", True, True),
        ("Paris", " paris. ", False, True),
        ("Paris", "Lyon", False, False),
        (["Paris", "paris"], "paris", True, True),
        ("e\u0301", "\u00c9", False, True),
        ("a b", "A\n\t b", False, True),
        ("x2", "x\u00b2", False, False),
        ("5", "-5", False, False),
        ("", "", True, True),
    ],
)
def test_exact_compares_texts(expected: Any, answer: str, as_it_is: bool, normalised: bool) -> None:  # noqa: FBT001  # both verdicts
    """As they are, or in the form that is stated."""
    assert passes(exact_match(), expected, answer) == as_it_is
    assert passes(exact_match(normalise=True), expected, answer) == normalised


def test_contains_looks_inside() -> None:
    """For any of the texts, in the same two ways."""
    assert passes(contains(), ["Lima", "Paris"], "It is Paris, of course")
    assert not passes(contains(), "paris", "It is Paris")
    assert passes(contains(normalise=True), "paris.", "It is PARIS, of course")


@given(decimals, decimals, decimals.map(abs), st.integers(0, 1000))
def test_numeric_is_exact_at_its_tolerance(
    expected: Decimal, answer: Decimal, absolute: Decimal, per_mille: int
) -> None:
    """A number at the very end of the tolerance passes, whatever floats would say."""
    relative = Fraction(per_mille, 1000)
    near = max(Fraction(absolute), relative * abs(Fraction(expected)))
    judge = numeric(absolute=float(absolute), relative=per_mille / 1000)
    wanted = abs(Fraction(answer) - Fraction(expected)) <= near
    assert passes(judge, str(expected), f"So it is {answer:f} in all.") == wanted
    ends = [Fraction(expected) + near, Fraction(expected) - near]
    for end in (
        Decimal(e.numerator) / Decimal(e.denominator) for e in ends if 10**9 % e.denominator == 0
    ):
        assert passes(judge, str(expected), f"{end:f}")


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("42", 42), ("The answer is 42.", 42), ("3 apples and 4 pears: 7", 7), ("-1.5", "-1.5"),
        ("\u22121", -1), ("+2", 2), ("1,234,567.5 dollars", "1234567.5"), ("1,23", 23),
        ("1,2345", 2345), ("$5", 5), ("50%", 50), ("5kg", 5), ("10-5", 5), ("x=-5", -5),
        ("1e3", 1000), ("2.5E-1", "0.25"), (".5", "0.5"), ("is it 5?", 5), ("1/2", 2),
        ("gpt4", None), ("none", None), ("", None), ("9" * 2000, None),
        ("1e999999999", None), ("3 1.5e9999", 3),
        ("version 1.2.3", None),
    ],
)  # fmt: skip
def test_the_last_number_counts(answer: str, number: Any) -> None:
    """By the rule that the module states, and without taking all memory."""
    assert number_in(answer) == (None if number is None else Fraction(number))


def test_an_answer_without_a_number_is_wrong() -> None:
    """It is no error: the model has answered."""
    assert not passes(numeric(absolute=1e9), 1, "I do not know")
    assert passes(numeric(), 0.1, "0.1")
    assert passes(numeric(), 0, "-0")


@pytest.mark.parametrize(
    ("judge", "expected"),
    [
        (exact_match(), None), (exact_match(), 5), (exact_match(), []), (contains(), [1]),
        (numeric(), None), (numeric(), "many"), (numeric(), True), (numeric(), float("nan")),
        (numeric(), "5 or 6"),
    ],
)  # fmt: skip
def test_what_a_judge_cannot_use_is_seen_before_a_run(judge: Judge, expected: Any) -> None:
    """Not when the model has been asked."""
    assert not judge.suits(expected)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nope", "There is no judge 'nope'; there are exact, contains, numeric, mine"),
        ({"normalise": True}, "There is no judge None"),
        ({"name": "exact", "fuzzy": True}, "The judge exact has no such options.*fuzzy"),
        ({"name": "exact", "normalise": 1}, "normalise is 1; it must be true or false"),
        ({"name": "numeric", "absolute": -1}, "absolute is -1; it must be a number from 0 on"),
        ({"name": "numeric", "relative": float("inf")}, "relative is inf"),
        ({"name": "numeric", "relative": "1"}, "relative is '1'"),
        ({"name": "mine", "absolute": 1}, "There is no judge 'mine'"),
        ({"name": []}, "There is no judge"),
        (5, "There is no judge 5"),
    ],
)
def test_a_judge_that_cannot_be_is_one_sentence(asked: Any, said: str) -> None:
    """It says which there are, or what the options are."""
    with pytest.raises(ConfigurationError, match=said):
        judge_of(asked, {"mine": lambda *_: True})


def test_judges_are_found_by_name_and_named_by_their_function() -> None:
    """Also one of one's own."""
    mine = judge_of("mine", {"mine": lambda *_: 0.5})
    assert (mine.name, mine.score(Question("q", "?"), "")) == ("mine", 0.5)
    assert judge_of(worth, {}).name == "worth"
    assert judge_of(mine, {}) is mine
    assert passes(judge_of({"name": "exact", "normalise": True}, {}), "A", "a")


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_score_is_in_millionths(score: float, pass_at: float) -> None:
    """As it is counted; whether it passed is decided before it is rounded."""
    kept, passed = worth(score, pass_at)
    assert kept == round(score * 1e6) / 1e6
    assert passed == (score >= pass_at)


@pytest.mark.parametrize("said", [None, "1", -0.1, 1.1, float("nan"), float("inf"), 1j])
def test_what_is_no_score_is_the_judges_failure(said: Any) -> None:
    """A number in its place would count in the mean."""
    with pytest.raises(ValueError, match="neither a boolean nor from 0 to 1"):
        worth(said, 0.5)
    assert worth(True, 1) == (1.0, True)
    assert worth(False, 0) == (0.0, False)
