"""The golden request: what is known, against what the model answers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from boxship.errors import PredictionError
from boxship.golden import GoldenRequest
from boxship.runtimes.base import Array, Tensors
from boxship.serve import golden
from boxship.serve.codec.models import TensorModel
from boxship.serve.golden import GoldenMismatchError, compare
from boxship.signature import Answer, Signature, TensorSpec


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (1, 1.0),
        (0.5, 0.5000001),
        (1e9, 1e9 + 100),
        (0, 1e-9),
        ("yes", "yes"),
        (True, True),
        (None, None),
        ([], []),
        ({}, {}),
        ({"a": [1, {"b": "x"}]}, {"a": [1.0000001, {"b": "x"}]}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_what_counts_as_equal(expected: Any, found: Any) -> None:
    """Numbers within the tolerance, relative or absolute; everything else exactly."""
    assert compare(expected, found, 1e-6) == ""


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        (0.93, 0.12, "$: expected 0.93, found 0.12 (tolerance 1e-06)"),
        (0.5, 0.50001, "$: expected 0.5, found 0.50001 (tolerance 1e-06)"),
        (1, True, "$: expected 1, found True"),
        (False, 0, "$: expected False, found 0"),
        ("1", 1, "$: expected '1', found 1"),
        ("yes", "no", "$: expected 'yes', found 'no'"),
        (0.5, None, "$: expected 0.5, found None"),
        ([1], [1, 2], "$: expected 1 elements, found 2 elements"),
        ([1], {"a": 1}, "$: expected 1 elements, found the fields ['a']"),
        ({"a": 1}, {"b": 1}, "$: expected the fields ['a'], found the fields ['b']"),
        ([{"score": 1}], [{"score": 2}], "$[0].score: expected 1, found 2 (tolerance 1e-06)"),
        ({"a": [0, 1]}, {"a": [0, "1"]}, "$.a[1]: expected 1, found '1'"),
    ],
)
def test_the_first_difference_is_named_by_its_place(
    expected: Any, found: Any, difference: str
) -> None:
    assert compare(expected, found, 1e-6) == difference


def test_the_tolerance_is_the_files() -> None:
    assert compare(100, 101, 0.02) == ""
    assert compare(100, 101, 0) == "$: expected 100, found 101 (tolerance 0)"


@dataclass
class Doubler:
    """A runtime that doubles one column, and answers a label."""

    signature: Signature
    name: str = "doubler"
    batchable: bool = True
    reentrant: bool = True
    asked: list[Tensors] = field(default_factory=list)

    def run(self, batch: Tensors) -> Tensors:
        self.asked.append(batch)
        x: Any = batch["x"]
        if (x < 0).any():
            raise PredictionError("negative")
        return {"value": x * 2, "label": np.full(len(x), "big", dtype=object)}

    def sample(self, rows: int) -> Mapping[str, Array]:
        return {"x": np.zeros((rows, 1))}


@pytest.fixture
def model() -> TensorModel:
    column = TensorSpec(name="x", datatype="FP64")
    value = TensorSpec(name="value", datatype="FP64")
    label = TensorSpec(name="label", datatype="BYTES", shape=(-1,))
    answers = (Answer(name="value", output="value"), Answer(name="label", output="label"))
    signature = Signature(
        inputs=(column,), outputs=(value, label), columns=(column,), answers=answers
    )
    return TensorModel(Doubler(signature), max_rows=3)


V2 = [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1, 2]}]


def ask(model: TensorModel, content: Mapping[str, Any]) -> None:
    asyncio.run(golden.ask(GoldenRequest(**content), model, max_rows=3))


@pytest.mark.parametrize(
    "content",
    [
        {"inputs": {"x": 2}, "outputs": {"value": 4, "label": "big"}},
        {
            "inputs": [{"x": 1}, {"x": 2}],
            "outputs": [{"value": 2, "label": "big"}, {"value": 4, "label": "big"}],
        },
        {"inputs": {"x": 2}, "outputs": {"value": 4.1, "label": "big"}, "tolerance": 0.1},
        {"inputs": V2, "outputs": [{"name": "value", "data": [2, 4]}]},
        {
            "inputs": V2,
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["big", "big"]},
                {"name": "value", "shape": [2, 1]},
            ],
        },
    ],
    ids=["one row", "rows", "tolerance", "tensors", "some fields of each tensor"],
)
def test_a_model_that_answers_as_it_should(model: TensorModel, content: dict[str, Any]) -> None:
    """Rows as /predict takes them, or V2 tensors; of these only what is named is compared."""
    ask(model, content)
    assert isinstance(model._runtime, Doubler)
    assert len(model._runtime.asked) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"inputs": {"x": 2}, "outputs": {"value": 5, "label": "big"}},
            "answered differently: $.value: expected 5, found 4.0 (tolerance 1e-06)",
        ),
        (
            {"inputs": {"x": 2}, "outputs": [{"value": 4, "label": "big"}]},
            "answered differently: $: expected 1 elements, found the fields ['label', 'value']",
        ),
        (
            {"inputs": V2, "outputs": [{"name": "value", "data": [2, 5]}]},
            "answered differently: $[0].data[1]: expected 5, found 4.0 (tolerance 1e-06)",
        ),
        (
            {"inputs": V2, "outputs": [{"name": "score", "data": [2, 4]}]},
            "answered differently: $[0].name: expected 'score', found None",
        ),
        (
            {"inputs": {"y": 2}, "outputs": {}},
            "refused: y: expected one of the model's columns",
        ),
        ({"inputs": [{"x": 1}] * 4, "outputs": []}, "refused: body: expected a list of 1 to 3"),
        ({"inputs": {"x": -1}, "outputs": {}}, "refused: negative"),
        (
            {"inputs": [V2[0] | {"datatype": "BYTES"}], "outputs": [{"name": "value"}]},
            "refused: x.datatype: expected FP64",
        ),
    ],
)
def test_a_model_that_does_not(model: TensorModel, content: dict[str, Any], message: str) -> None:
    """Another answer, and a request that the model refuses: both keep it from ready."""
    with pytest.raises(GoldenMismatchError) as caught:
        ask(model, content)
    assert caught.value.message.startswith(f"golden request {message}")
