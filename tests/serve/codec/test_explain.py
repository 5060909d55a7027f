"""What is wrong with a body, in words that a client can act on."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from boxship.errors import MISSING, Problem
from boxship.json_input import MAX_PROBLEMS
from boxship.serve.codec import explain
from boxship.signature import Datatype, TensorSpec

COLUMNS = (
    TensorSpec(name="age", datatype="INT8"),
    TensorSpec(name="city", datatype="BYTES", nullable=True),
)
COLUMN = "one of the model's columns"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ({"age": 3, "city": None}, []),
        ([{"age": 3, "city": "Rome"}], []),
        ("x", [Problem((), "an object with one field per column", 'the string "x"')]),
        ([[]], [Problem((0,), "an object with one field per column", "a list of 0")]),
        ([], [Problem((), "a list of 1 to 30 rows", "0 rows")]),
        (
            {"age": 300},
            [
                Problem(("age",), "a whole number from -128 to 127", "the number 300"),
                Problem(("city",), "a string or null", MISSING),
            ],
        ),
        (
            {"aje": 3, "city": None},
            [
                Problem(("aje",), COLUMN, "an unknown field (did you mean 'age'?)"),
                Problem(("age",), "a whole number from -128 to 127", MISSING),
            ],
        ),
        (
            {"age": 3, "city": None, "agee": 3},
            [Problem(("agee",), COLUMN, "an unknown field")],
        ),
    ],
)
def test_rows(content: Any, problems: list[Problem]) -> None:
    assert explain.rows(content, COLUMNS, 30) == problems


def test_a_client_is_not_flooded() -> None:
    problems = explain.rows([{"age": None, "city": 3}] * 30, COLUMNS, 30)
    assert len(problems) == MAX_PROBLEMS
    assert problems[-1].loc == (9, "city")


@pytest.mark.parametrize(
    ("datatype", "low", "high"),
    [
        ("INT8", -128, 127),
        ("UINT8", 0, 255),
        ("INT16", -32768, 32767),
        ("UINT16", 0, 65535),
        ("INT32", -(2**31), 2**31 - 1),
        ("UINT32", 0, 2**32 - 1),
        ("INT64", -(2**63), 2**63 - 1),
        ("UINT64", 0, 2**64 - 1),
    ],
)
def test_integer_range(datatype: Datatype, low: int, high: int) -> None:
    assert explain.integer_range(datatype) == (low, high)
    spec = TensorSpec(name="x", datatype=datatype)
    values = (low - 1, low, high, high + 1)
    assert [explain.fits(value, spec) for value in values] == [False, True, True, False]


@pytest.mark.parametrize(
    ("datatype", "fitting", "unfit"),
    [
        ("BOOL", [True, False], [1, 0, "true", None, []]),
        ("BYTES", ["", "x"], [1, True, None, {}]),
        ("INT8", [1, -1], [True, 1.0, "1", None]),
        ("FP64", [1, 1.5, -0.0, 10**300], [True, "1", None, float("inf"), 10**400]),
    ],
)
def test_fits(datatype: Datatype, fitting: list[Any], unfit: list[Any]) -> None:
    """Whether one JSON value can be an element; true is no number and 1 is no truth value."""
    spec = TensorSpec(name="x", datatype=datatype)
    assert [value for value in fitting if not explain.fits(value, spec)] == []
    assert [value for value in unfit if explain.fits(value, spec)] == []
    assert explain.fits(None, TensorSpec(name="x", datatype=datatype, nullable=True))


@pytest.mark.parametrize(
    ("datatype", "words"),
    [
        ("BYTES", "a string"),
        ("BOOL", "true or false"),
        ("FP16", "a finite number"),
        ("UINT8", "a whole number from 0 to 255"),
    ],
)
def test_expected(datatype: Datatype, words: str) -> None:
    assert explain.expected(TensorSpec(name="x", datatype=datatype)) == words
    nullable = TensorSpec(name="x", datatype=datatype, nullable=True)
    assert explain.expected(nullable) == f"{words} or null"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=90),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=90), inner),
    max_leaves=8,
)


@given(JSON)
def test_any_content_is_explained_in_words_that_can_be_sent(content: Any) -> None:
    for problem in explain.rows(content, COLUMNS, 30):
        assert len(str(problem)) < 400
        json.dumps(str(problem), ensure_ascii=False).encode()
