"""Answers → JSON and → output tensors."""

import json
import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pydantic
import pytest

from boxship import Service
from boxship.errors import PredictionError
from boxship.runtimes.base import Tensors
from boxship.runtimes.service.runtime import ServiceRuntime


@dataclass
class Customer:
    age: float


@dataclass
class Verdict:
    score: float
    label: str
    rank: int | None = None
    parts: Any = None


class Struct(msgspec.Struct, rename="camel"):
    the_score: float


class Model(pydantic.BaseModel):
    score: float = pydantic.Field(serialization_alias="Score")


def runtime(answer: Any) -> ServiceRuntime:
    """A service whose answers are of this type."""

    class Answering(Service):
        def predict(self, rows: list[Customer]) -> Any:
            return rows

    Answering.predict.__annotations__["return"] = list[answer]
    return ServiceRuntime(Answering)


@pytest.mark.parametrize(
    ("kind", "answer", "body"),
    [
        (float, 0.1 + 0.2, {"value": 0.30000000000000004}),
        (float, np.float64(0.1), {"value": 0.1}),
        (float, np.float32(0.1), {"value": 0.10000000149011612}),
        (float, math.nan, {"value": None}),
        (int, np.int64(2**62), {"value": 2**62}),
        (bool, np.True_, {"value": True}),
        (str, np.str_("a"), {"value": "a"}),
        (list[float], np.array([1.5, 2.0]), {"value": [1.5, 2.0]}),
        (list[float], (1.5, 2.0), {"value": [1.5, 2.0]}),
        (dict, {"a": np.float64(1.5)}, {"a": 1.5}),
        (dict, {np.int64(1): 0.5, np.str_("b"): 1}, {"1": 0.5, "b": 1}),
        (dict, {"scores": {np.float64(1.5): [np.int8(1)]}}, {"scores": {"1.5": [1]}}),
        (Any, 3, {"value": 3}),
        (Any, [1], {"value": [1]}),
        (Any, Verdict(0.5, "x"), {"score": 0.5, "label": "x", "rank": None, "parts": None}),
        (
            Verdict,
            Verdict(np.float64(0.5), "x", 3, np.eye(1)),
            {"score": 0.5, "label": "x", "rank": 3, "parts": [[1.0]]},
        ),
        (Verdict, {"score": 0.5, "label": "x"}, {"score": 0.5, "label": "x"}),
        (Struct, Struct(the_score=0.5), {"theScore": 0.5}),
        (Model, Model(score=0.5), {"Score": 0.5}),
    ],
)
def test_an_answer_is_an_object(kind: Any, answer: Any, body: Any) -> None:
    made = runtime(kind)
    assert json.loads(made.encode_answers([answer], single=True)) == body
    assert json.loads(made.encode_answers([answer], single=False)) == [body]


@pytest.mark.parametrize(
    ("kind", "answer", "message"),
    [
        (float, {"a": 1}, "expected answers of type float, found dict"),
        (float, Verdict(0.5, "x"), "expected answers of type float, found Verdict"),
        (Verdict, 0.5, "expected answers of type Verdict, found float"),
        (Any, object(), "cannot be written as JSON: JSON cannot hold an object of type object"),
        (Any, {"a": 1 + 2j}, "cannot be written as JSON"),
        (str, "\ud800", "cannot be written as JSON: .*surrogates not allowed"),
        (Any, {(1, 2): 3}, "cannot be written as JSON"),
    ],
)
def test_an_answer_that_cannot_be_given_is_the_models_failure(
    kind: Any, answer: Any, message: str
) -> None:
    with pytest.raises(PredictionError, match=f"Answering.predict: .*{message}"):
        runtime(kind).encode_answers([answer], single=True)


def listed(tensors: Tensors) -> dict[str, tuple[str, Any]]:
    return {name: (array.dtype.name, array.tolist()) for name, array in tensors.items()}


@pytest.mark.parametrize(
    ("kind", "answers", "tensors"),
    [
        (float, [0.5, np.float64(1)], {"value": ("float64", [0.5, 1.0])}),
        (int, [1, 2], {"value": ("int64", [1, 2])}),
        (bool, [True, np.False_], {"value": ("bool", [True, False])}),
        (str, ["a", np.str_("bc")], {"value": ("object", ["a", "bc"])}),
        (list[float], [[1.0], np.array([2])], {"value": ("float64", [[1.0], [2.0]])}),
        (np.float32, [np.float32(0.5)], {"value": ("float32", [0.5])}),
        (float, [], {"value": ("float64", [])}),
        (list[float], [], {"value": ("float64", [])}),
        (dict, [{"a": [1]}, {}], {"answer": ("object", ['{"a":[1]}', "{}"])}),
        (Any, [1, None], {"answer": ("object", ["1", "null"])}),
        (
            Verdict,
            [Verdict(0.5, "x", 3), Verdict(1.0, "y", parts={"a": 1})],
            {
                "score": ("float64", [0.5, 1.0]),
                "label": ("object", ["x", "y"]),
                "rank": ("object", ["3", "null"]),
                "parts": ("object", ["null", '{"a":1}']),
            },
        ),
        (Struct, [Struct(the_score=0.5)], {"theScore": ("float64", [0.5])}),
        (Model, [Model(score=0.5)], {"Score": ("float64", [0.5])}),
    ],
)
def test_answers_are_output_tensors(kind: Any, answers: list[Any], tensors: Any) -> None:
    made = runtime(kind)
    outputs = made.tensors_from_answers(answers)
    assert listed(outputs) == tensors
    assert list(outputs) == [spec.name for spec in made.signature.outputs]
    for spec in made.signature.outputs:
        assert outputs[spec.name].ndim == len(spec.shape)


def test_a_missing_float_is_nan_and_a_missing_string_is_none() -> None:
    (value,) = runtime(float | None).tensors_from_answers([None])["value"]
    assert math.isnan(value)
    assert runtime(str | None).tensors_from_answers([None, "a"])["value"].tolist() == [None, "a"]


@pytest.mark.parametrize(
    ("kind", "answers", "message"),
    [
        (float, ["x"], "the field 'value' of the answers is no tensor of FP64"),
        (int, [2**64], "the field 'value' of the answers is no tensor of INT64"),
        (list[float], [[1.0], [1.0, 2.0]], "the field 'value' of the answers is no tensor"),
        (
            float,
            [[1.0]],
            r"expected one value per row in 'value', found an array of shape \[1, 1\]",
        ),
        (list[float], [1.0], r"expected one list of values per row in 'value', found .* \[1\]"),
        (Verdict, [{"score": 1, "label": "x"}], "answer 0 has no field 'rank'"),
        (Verdict, [3], "expected answers of type Verdict, found int"),
        (Any, [object()], "cannot be written as JSON"),
    ],
)
def test_answers_that_are_no_tensors(kind: Any, answers: list[Any], message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        runtime(kind).tensors_from_answers(answers)
