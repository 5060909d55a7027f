"""What is wrong with a body, in words that a client can act on."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from boxship.errors import MalformedError, Problem
from boxship.serve.codec import explain
from boxship.signature import Datatype, TensorSpec


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b'{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        (rb'"\ud83d\udea2"', "🚢"),
        ("🚢".encode().join([b'"', b'"']), "🚢"),
        (b"18446744073709551616", 2**64),
        (b"3", 3),
    ],
)
def test_json_is_read(body: bytes, content: Any) -> None:
    assert explain.parse(body) == content


@pytest.mark.parametrize("body", [b"1e999", b"-1e999", b"9" * 10_000])
def test_a_number_beyond_every_double_is_infinite(body: bytes) -> None:
    """It is read, so that the message can name its place."""
    assert abs(explain.parse(body)) == float("inf")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected JSON, found: an empty body"),
        (b"[1, 2", "expected JSON, found: Expecting ',' delimiter at position 5"),
        (b"[1] 2", "expected JSON, found: Extra data at position 4"),
        (b"NaN", "expected JSON, found: NaN, which JSON does not have"),
        (b'"a\xe9"', "expected JSON in UTF-8, found the byte 0xe9 at position 2"),
        (b"[" * 50_000, "expected JSON of a few levels, found it nested too deep"),
        (rb'["\udead"]', r"expected JSON, found: '\udead', which is half of a surrogate pair"),
    ],
)
def test_what_is_no_json_is_malformed(body: bytes, message: str) -> None:
    """The message says where the fault is."""
    with pytest.raises(MalformedError) as caught:
        explain.parse(body)
    assert str(caught.value) == message


COLUMNS = (
    TensorSpec(name="age", datatype="INT8"),
    TensorSpec(name="city", datatype="BYTES", nullable=True),
)


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
                Problem(("city",), "a string or null", "nothing: it is missing"),
            ],
        ),
        (
            {"aje": 3, "city": None},
            [
                Problem(("aje",), "no such field (did you mean 'age'?)", "the number 3"),
                Problem(("age",), "a whole number from -128 to 127", "nothing: it is missing"),
            ],
        ),
    ],
)
def test_rows(content: Any, problems: list[Problem]) -> None:
    assert explain.rows(content, COLUMNS, 30) == problems


def test_a_long_name_is_cut_and_has_no_neighbour() -> None:
    """Comparing names is slow, and nobody misspells a hundred letters."""
    (problem,) = explain.rows({"age": 3, "city": None, "a" * 100: 1}, COLUMNS, 30)
    assert problem == Problem(("a" * 59 + "…",), "no such field", "the number 1")


def test_a_client_is_not_flooded() -> None:
    problems = explain.rows([{"age": None, "city": 3}] * 30, COLUMNS, 30)
    assert len(problems) == explain.MAX_PROBLEMS
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


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": 1}, "an object"),
        ([1, 2], "a list of 2"),
        ("x", 'the string "x"'),
        ("Zürich", 'the string "Zürich"'),
        ('"', 'the string "\\""'),
        ("x" * 90, 'the string "' + "x" * 58 + "…"),
        (1.5, "the number 1.5"),
        (-3, "the number -3"),
        (True, "true"),
        (None, "null"),
        (float("inf"), "a number that is too large"),
    ],
)
def test_shown(value: Any, words: str) -> None:
    assert explain.shown(value) == words


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
