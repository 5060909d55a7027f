"""JSON that was refused: where its fault is, and its values in words."""

from typing import Any

import pytest

from boxship.errors import MalformedError, Problem
from boxship.json_input import parse, reread, short, shown, unknown_field


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
    assert parse(body) == content


@pytest.mark.parametrize("body", [b"1e999", b"-1e999", b"9" * 10_000])
def test_a_number_beyond_every_double_is_infinite(body: bytes) -> None:
    """It is read, so that the message can name its place."""
    assert abs(parse(body)) == float("inf")


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
        parse(body)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": 1}, "an object"),
        ([1, 2], "a list of 2"),
        ([], "a list of 0"),
        ("x", 'the string "x"'),
        ("Zürich", 'the string "Zürich"'),
        ('"', 'the string "\\""'),
        ("x" * 90, 'the string "' + "x" * 58 + "…"),
        (1.5, "the number 1.5"),
        (-3, "the number -3"),
        (10**70, "the number 1" + "0" * 58 + "…"),
        (True, "true"),
        (None, "null"),
        (float("inf"), "a number that is too large"),
    ],
)
def test_shown(value: Any, words: str) -> None:
    assert shown(value) == words


@pytest.mark.parametrize("value", [(1, 2), object(), b"x"])
def test_what_json_does_not_have_is_an_object(value: Any) -> None:
    """A validator of the user's may make anything of a value, and then refuse that."""
    assert shown(value) == "an object"


@pytest.mark.parametrize(
    ("text", "cut"), [("", ""), ("x" * 60, "x" * 60), ("x" * 61, "x" * 59 + "…")]
)
def test_short(text: str, cut: str) -> None:
    assert short(text) == cut


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("aeg", Problem((2, "aeg"), "a column", "an unknown field (did you mean 'age'?)")),
        ("zzz", Problem((2, "zzz"), "a column", "an unknown field")),
        ("", Problem((2, ""), "a column", "an unknown field")),
    ],
)
def test_an_unknown_field_may_be_a_known_one_misspelt(name: str, problem: Problem) -> None:
    assert unknown_field((2,), name, "a column", ["city", "age"]) == problem


def test_a_long_name_is_cut_and_has_no_neighbour() -> None:
    """Comparing names is slow, and nobody misspells a hundred letters."""
    problem = unknown_field((), "a" * 100, "a column", ["a" * 101])
    assert problem == Problem(("a" * 59 + "…",), "a column", "an unknown field")


def test_a_large_body_that_was_refused_is_not_read_again() -> None:
    """Reading it would keep everybody waiting; what refused it has words too."""
    large = b'{"a": "' + b"x" * 3_000_000 + b'"}'
    with pytest.raises(MalformedError, match="fits the model, found: Expected `float`"):
        reread(large, ValueError("Expected `float`, got `str` - at `$.a`"))
    assert reread(b'{"a": 1}', ValueError("refused")) == {"a": 1}
