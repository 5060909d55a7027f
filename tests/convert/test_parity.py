"""What counts as a difference, and what the report of one holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from boxship.convert.parity import compare
from boxship.errors import InputError
from boxship.runtimes.base import Tensors
from boxship.signature import Answer, Signature, TensorSpec

INPUT = TensorSpec(name="input", datatype="FP64", shape=(-1, 1))
COLUMN = TensorSpec(name="x", datatype="FP64")


class Table:
    """A model that answers the row ``x`` with the ``x``-th of its answers; None is refused."""

    name = "table"
    batchable = True
    reentrant = True

    def __init__(self, **answers: Sequence[Any]) -> None:
        self._answers = answers
        self.signature = Signature(
            inputs=(INPUT,),
            outputs=tuple(TensorSpec(name=name, datatype="FP64") for name in answers),
            columns=(COLUMN,),
            answers=tuple(Answer(name=name, output=name) for name in answers),
            matrix=INPUT,
        )

    def run(self, batch: Tensors) -> Mapping[str, Any]:
        rows = [round(float(one)) for one in batch["input"][:, 0]]
        chosen = {name: [values[row] for row in rows] for name, values in self._answers.items()}
        if any(value is None for values in chosen.values() for value in values):
            raise InputError("no such row")
        return {name: np.array(values) for name, values in chosen.items()}

    def sample(self, rows: int) -> Tensors:
        return {"input": np.zeros((rows, 1))}


def compared(first: dict[str, Any], second: dict[str, Any], **options: Any) -> Any:
    rows = np.arange(len(next(iter(first.values()))), dtype=np.float64).reshape(-1, 1)
    return compare(
        Table(**first), Table(**second), {"input": rows}, narrowed=lambda batch: batch, **options
    )


def values(*numbers: Any) -> dict[str, Any]:
    return {"value": numbers}


@pytest.mark.parametrize(
    ("first", "second", "agrees"),
    [
        ((1.0, 2.0), (1.0, 2.0), True),
        ((1.0, 2.0), (1.0, 2.0001), True),
        ((1.0, 2.0), (1.0, 2.001), False),
        ((5e6,), (5e6 + 400,), True),
        ((5e6,), (5e6 + 600,), False),
        ((1.0, 1e-9), (1.0, 9e-6), True),
        ((1.0, 1e-9), (1.0, 1.1e-5), False),
        ((1e-7, 2e-7), (1e-7, 3e-7), False),
        ((0.0, 0.0), (0.0, 1e-30), False),
        ((np.nan, 1.0), (np.nan, 1.0), True),
        ((np.nan, 1.0), (1.0, 1.0), False),
        ((1.0, 1.0), (np.nan, 1.0), False),
        ((np.inf, 1.0), (np.inf, 1.0), True),
        ((np.inf, 1.0), (-np.inf, 1.0), False),
        ((np.inf, 1.0), (1e308, 1.0), False),
    ],
)
def test_numbers(first: Any, second: Any, *, agrees: bool) -> None:
    """By themselves, or by a tenth of the answer's scale, which is never above 1."""
    found = compared(values(*first), values(*second))
    assert found.agrees is agrees
    assert found.faulty == (0 if agrees else 1)


def test_the_largest_differences() -> None:
    found = compared(values(1.0, 100.0, 0.0), values(1.1, 101.0, 0.0))
    assert found.largest_absolute == pytest.approx(1.0)
    assert found.largest_relative == pytest.approx(0.1)


def test_a_wider_tolerance() -> None:
    assert not compared(values(1.0), values(1.05)).agrees
    assert compared(values(1.0), values(1.05), tolerance=0.1).agrees


def test_labels_are_equal_or_not() -> None:
    found = compared({"label": ["a", "b", "c"]}, {"label": ["a", "c", "b"]})
    assert (found.agrees, found.labels_that_differ, found.faulty) == (False, 2, 2)


def test_rows_that_both_refuse_agree() -> None:
    found = compared(values(1.0, None, 2.0), values(1.0, None, 2.0))
    assert (found.agrees, found.rows, found.refused) == (True, 3, 1)


@pytest.mark.parametrize("swap", [False, True])
def test_a_row_that_only_one_refuses_is_at_fault(*, swap: bool) -> None:
    pair = [values(1.0, None, 2.0), values(1.0, 7.0, 2.0)]
    first, second = reversed(pair) if swap else pair
    found = compared(first, second)
    (fault,) = found.faults
    assert (fault.row, fault.values) == (1, {"x": 1.0})
    said = [fault.original, fault.converted]
    assert said == ([{"value": 7.0}, "no such row"] if swap else ["no such row", {"value": 7.0}])


def test_models_that_refuse_everything_agree_on_nothing() -> None:
    found = compared(values(None, None), values(None, None))
    assert (found.refused, found.faulty, found.largest_relative) == (2, 0, 0.0)


def test_the_first_five_rows_are_told() -> None:
    found = compared(values(*range(1, 9)), values(*range(2, 10)))
    assert found.faulty == 8
    assert [fault.row for fault in found.faults] == [0, 1, 2, 3, 4]
    assert found.faults[0].original == {"value": 1}


TIES = {
    "a score of one half": ({"score": [0.5 + 1e-9]}, {"score": [0.5 - 1e-9]}),
    "a decision of zero": ({"decision": [1e-9, 1.0]}, {"decision": [-1e-9, 1.0]}),
    "two classes in front": ({"scores": [[0.4, 0.4, 0.2]]}, {"scores": [[0.4, 0.4, 0.2]]}),
}


@pytest.mark.parametrize(("first", "second"), TIES.values(), ids=TIES)
def test_a_label_is_undecided_where_the_original_has_a_tie(first: Any, second: Any) -> None:
    rows = len(next(iter(first.values())))
    labels, other = ["a"] * rows, ["b"] + ["a"] * (rows - 1)
    found = compared({"label": labels, **first}, {"label": other, **second})
    assert (found.undecided, found.labels_that_differ, found.faulty) == (1, 1, 0)
    assert found.agrees is (found.decided > 0)
    assert not found.exact


@pytest.mark.parametrize(
    "numbers",
    [{"score": [0.6]}, {"decision": [0.5]}, {"scores": [[0.5, 0.4, 0.1]]}],
    ids=["score", "decision", "scores"],
)
def test_a_label_is_at_fault_where_the_original_has_none(numbers: Any) -> None:
    found = compared({"label": ["a"], **numbers}, {"label": ["b"], **numbers})
    assert (found.undecided, found.faulty) == (0, 1)


def test_a_tie_excuses_no_number() -> None:
    found = compared({"label": ["a"], "score": [0.5]}, {"label": ["b"], "score": [0.9]})
    assert (found.undecided, found.faulty) == (0, 1)


def test_of_several_labels_each_needs_a_tie_of_its_own() -> None:
    first = {"label": [["a", "a"]], "scores": [[0.5, 0.9]]}
    tied, other = {"label": [["b", "a"]]}, {"label": [["b", "b"]]}
    scores = {"scores": [[0.5, 0.9]]}
    assert compared(first, {**tied, **scores}).undecided == 1
    assert compared(first, {**other, **scores}).faulty == 1


class Step:
    """Answers 1 for numbers above a border, else 0."""

    name = "step"
    batchable = True
    reentrant = True

    def __init__(self, border: float) -> None:
        self._border = border
        self.signature = Table(value=[]).signature

    def run(self, batch: Tensors) -> Mapping[str, Any]:
        values: Any = batch["input"][:, 0]
        return {"value": (values > self._border).astype(float)}

    def sample(self, rows: int) -> Tensors:
        return {"input": np.zeros((rows, 1))}


@pytest.mark.parametrize(
    ("row", "blur", "undecided"),
    [(1.0000001, 1e-5, True), (1.0000001, 0.0, False), (1.05, 1e-5, False)],
    ids=["beside it", "where every digit counts", "far from it"],
)
def test_a_row_at_a_border_of_the_original(row: float, blur: float, *, undecided: bool) -> None:
    """The original's border is at 1, the other's at 1.1."""
    rows = {"input": np.array([[0.5], [row], [2.0]])}
    found = compare(Step(1.0), Step(1.1), rows, narrowed=lambda batch: batch, blur=blur)
    assert (found.undecided, found.faulty) == ((1, 0) if undecided else (0, 1))
    assert found.largest_absolute == (0.0 if undecided else 1.0)


def test_many_rows_at_borders_are_no_accident() -> None:
    rows = {"input": np.linspace(1.0000001, 1.0000009, 60).reshape(-1, 1)}
    found = compare(Step(1.0), Step(1.1), rows, narrowed=lambda batch: batch, blur=1e-5)
    assert (found.undecided, found.faulty) == (0, 60)
