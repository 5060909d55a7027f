"""Every exception on purpose: its exit code, and how a problem reads."""

import pytest

from boxship import errors
from boxship.errors import (
    AddressError,
    BoxshipError,
    InputError,
    ModelError,
    OverloadedError,
    Problem,
    UntrustedModelError,
    UsageError,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (BoxshipError, 1),
        (UsageError, 2),
        (ModelError, 3),
        (UntrustedModelError, 4),
        (AddressError, 5),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(kind: type[BoxshipError], code: int) -> None:
    """Scripts may tell them apart, so the numbers stay as they are."""
    assert kind("x").exit_code == code
    assert BoxshipError.exit_code == 1


def test_exit_codes_are_distinct() -> None:
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert len(set(codes)) == len(codes)


def test_an_error_may_carry_another_exit_code() -> None:
    """What a worker died of is what the command ends with."""
    assert BoxshipError("x", exit_code=4).exit_code == 4
    assert BoxshipError("x", exit_code=0).exit_code == 0


@pytest.mark.parametrize(
    ("error", "paragraph"),
    [
        (UsageError("Found none.", tip="Name one."), "Found none. Name one."),
        (UsageError("Found none."), "Found none."),
    ],
)
def test_a_paragraph_is_the_message_and_the_next_step(error: BoxshipError, paragraph: str) -> None:
    assert error.paragraph() == paragraph
    assert str(error) == error.message == "Found none."


@pytest.mark.parametrize(
    ("loc", "where"),
    [
        ((), "body"),
        (("age",), "age"),
        ((3, "mean radius"), "[3].mean radius"),
        (("inputs", 0, "data", 12), "inputs[0].data[12]"),
        ((0, 1, 2), "[0][1][2]"),
        (("a", "b"), "a.b"),
    ],
)
def test_a_problem_names_its_place(loc: tuple[str | int, ...], where: str) -> None:
    problem = Problem(loc, "a number", "null")
    assert problem.where() == where
    assert str(problem) == f"{where}: expected a number, found null"


def test_an_input_error_holds_every_problem() -> None:
    """A service may raise it with a sentence of its own."""
    problem = Problem(("age",), "a number", "null")
    error = InputError(problem, "income must not be negative")
    assert str(error) == "age: expected a number, found null; income must not be negative"
    assert error.problems == (problem, "income must not be negative")


def test_overload_says_when_to_come_back() -> None:
    assert OverloadedError("full").retry_after_s == 1
    assert OverloadedError("full", retry_after_s=7).retry_after_s == 7
