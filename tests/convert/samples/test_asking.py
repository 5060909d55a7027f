"""What the model is asked: what it refuses, and where its label changes."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from boxship.convert.samples.asking import (
    Asker,
    label_borders,
    refused_rows,
    without_refused,
)
from boxship.convert.samples.pools import Pool, Pools
from boxship.errors import InputError, PredictionError
from boxship.runtimes.base import Tensors
from boxship.signature import Signature, TensorSpec

Matrix = Any
COLUMNS = tuple(TensorSpec(name=f"x{number}", datatype="FP64") for number in (1, 2))
SIGNATURE = Signature(
    inputs=(),
    outputs=(),
    columns=COLUMNS,
    matrix=TensorSpec(name="input", datatype="FP64", shape=(-1, 2)),
)
GRID = np.array([[x, y] for x in range(-10, 10) for y in range(-10, 10)], dtype=np.float64)


def asker(refuses: Callable[[Matrix], Matrix], label: Callable[[Matrix], Matrix] = abs) -> Asker:
    """A runtime that refuses a batch where ``refuses`` says so of any row."""

    def run(batch: Tensors) -> Tensors:
        rows: Matrix = batch["input"]
        if refuses(rows).any():
            raise InputError("out of my domain")
        return {"label": label(rows)}

    return Asker(run, SIGNATURE, COLUMNS, ([], []))


def nothing(rows: Matrix) -> Matrix:
    return np.zeros(len(rows), dtype=bool)


def pool() -> Pool:
    return Pool(
        1.0,
        borders=np.array([-2.0, 0.0, 2.0]),
        usual=np.array([-3.0, 0.0, 3.0]),
        unusual=np.array([-9.0, -0.0, 9.0]),
    )


def refused_by(asked: Asker) -> list[set[float]]:
    pools = without_refused(Pools((pool(), pool()), ([], []), 0, 0), asked)
    for column in pools.columns:
        kept = np.concatenate([column.borders, column.usual, column.unusual])
        assert not set(kept) & set(column.refused)
        assert set(kept) | set(column.refused) == {-9, -3, -2, 0, 2, 3, 9}
    return [set(column.refused) for column in pools.columns]


@pytest.mark.parametrize(
    ("refuses", "first", "second"),
    [
        (nothing, set(), set()),
        (lambda rows: rows[:, 0] < 0, {-9, -3, -2}, set()),
        (lambda rows: rows[:, 1] <= 0, set(), {-9, -3, -2, 0}),
        (lambda rows: (rows < 0).any(axis=1), {-9, -3, -2}, {-9, -3, -2}),
        (lambda rows: np.abs(rows[:, 1]) > 5, set(), {-9, 9}),
        (lambda rows: rows[:, 0] == 9, {9}, set()),
    ],
)
def test_what_a_column_may_not_be_is_put_aside_for_that_column(
    refuses: Callable[[Matrix], Matrix], first: set[float], second: set[float]
) -> None:
    assert refused_by(asker(refuses)) == [first, second]


@pytest.mark.parametrize(
    "refuses",
    [
        nothing,
        lambda rows: rows[:, 0] + rows[:, 1] == 0,
        lambda rows: rows[:, 0] > 0,
        lambda rows: np.arange(len(rows)) >= 0,
    ],
)
def test_exactly_the_refused_rows_are_found(refuses: Callable[[Matrix], Matrix]) -> None:
    found = refused_rows(GRID, asker(refuses))
    assert found.tolist() == refuses(GRID).tolist()


def test_of_very_many_refusals_none_is_taken_for_an_answer() -> None:
    rows = np.random.default_rng(0).normal(size=(4000, 2))

    def refuses(rows: Matrix) -> Matrix:
        return rows[:, 0] > 0

    found = refused_rows(rows, asker(refuses))
    assert found[refuses(rows)].all()
    assert (~found).any()


@pytest.mark.parametrize("error", [InputError("no"), PredictionError("no")])
def test_a_model_that_fails_refuses(error: Exception) -> None:
    def run(batch: Tensors) -> Tensors:
        raise error

    assert not Asker(run, SIGNATURE, COLUMNS, ([], [])).accepts(GRID)


def test_a_model_that_warns_answers() -> None:
    def warn(rows: Matrix) -> Matrix:
        warnings.warn("far out", RuntimeWarning, stacklevel=1)
        return rows[:, 0] > np.exp(rows[:, 1] * 1000)

    assert asker(nothing, warn).accepts(GRID)


def test_rows_close_in_on_the_border_from_both_sides() -> None:
    random = np.random.default_rng(0)
    starts, ends = random.normal(size=(100, 2)), random.normal(size=(100, 2))

    def decision(rows: Matrix) -> Matrix:
        return rows[:, 0] * 2 - rows[:, 1]

    asked = asker(nothing, lambda rows: decision(rows) > 0)
    near = label_borders(starts, ends, asked, most=60)
    assert near.shape == (60, 2)
    # Ten pairs, six rows of each: low and high, nearer each time.
    low, high = near.reshape(3, 2, 10, 2).swapaxes(0, 1)
    assert ((decision(low.reshape(-1, 2)) > 0) != (decision(high.reshape(-1, 2)) > 0)).all()
    distance = np.linalg.norm(high - low, axis=2)
    assert np.allclose(distance[1], distance[0] / 64)
    assert np.allclose(distance[2], distance[0] / 4096, rtol=1e-3)


def test_without_two_labels_there_is_no_border() -> None:
    same = asker(nothing, lambda rows: np.zeros(len(rows)))
    assert len(label_borders(GRID, GRID[::-1], same, most=60)) == 0


def test_between_rows_that_are_refused_there_is_no_border() -> None:
    positive = asker(lambda rows: rows[:, 0] == 0, lambda rows: rows[:, 0] > 0)
    ends = np.array([[1.0, 0.0]])
    assert len(label_borders(-ends, ends, positive, most=60)) == 0
    assert len(label_borders(ends * 0, ends, positive, most=60)) == 0


def test_a_model_without_labels_has_no_border() -> None:
    values = Asker(lambda batch: {"value": batch["input"]}, SIGNATURE, COLUMNS, ([], []))
    assert len(label_borders(GRID, GRID[::-1], values, most=60)) == 0
