"""A loaded model as the routes see it."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from boxship.errors import InputError, PredictionError
from boxship.runtimes.base import Array, Tensors
from boxship.serve.codec.models import TensorModel
from boxship.signature import Answer, Signature, TensorSpec

A = TensorSpec(name="a", datatype="INT64")
B = TensorSpec(name="b", datatype="FP64")
MATRIX = TensorSpec(name="input", datatype="FP64", shape=(-1, 2))
SUM = TensorSpec(name="sum", datatype="FP64")
TABLE = Signature(
    inputs=(A, B),
    outputs=(SUM,),
    columns=(A, B),
    answers=(Answer(name="sum", output="sum"),),
    matrix=MATRIX,
)
IMAGES = Signature(
    inputs=(TensorSpec(name="image", datatype="FP32", shape=(-1, 2, -1)),),
    outputs=(TensorSpec(name="mean", datatype="FP32", shape=(-1,)),),
)


def add(batch: Tensors) -> Tensors:
    matrix: Any = batch["input"]
    return {"sum": matrix.sum(axis=1, keepdims=True)}


@dataclass
class Fake:
    """A runtime around one function."""

    function: Callable[[Tensors], Tensors] = add
    signature: Signature = TABLE
    batchable: bool = True
    reentrant: bool = True
    name: str = "fake 1.0"
    threads: list[int] = field(default_factory=list)

    def run(self, batch: Tensors) -> Tensors:
        self.threads.append(threading.get_ident())
        return self.function(batch)

    def sample(self, rows: int) -> Mapping[str, Array]:
        return {"input": np.zeros((rows, 2))}


def table(**options: Any) -> TensorModel:
    return TensorModel(Fake(**options), max_rows=3)


def execute(model: Any, batch: Any) -> Any:
    async def once() -> Any:
        return await model.execute(batch)

    return asyncio.run(once())


# Models of tensors


def test_rows_go_in_and_answers_come_out() -> None:
    model = table()
    batch, rows, single = model.decode_rows(b'[{"a": 1, "b": 2.5}, {"a": 3, "b": 4}]')
    assert (rows, single) == (2, False)
    outputs = execute(model, batch)
    assert json.loads(model.encode_answers(outputs, single=False)) == [{"sum": 3.5}, {"sum": 7}]


def test_a_model_bears_its_runtimes_name_and_signature() -> None:
    model = table()
    assert (model.runtime, model.signature, model.slots) == ("fake 1.0", TABLE, 1)


def test_the_number_of_rows_is_limited() -> None:
    with pytest.raises(InputError, match="expected a list of 1 to 3 rows, found 4 rows"):
        table().decode_rows(json.dumps([{"a": 1, "b": 1}] * 4).encode())


def test_columns_that_travel_together_become_one_matrix() -> None:
    """Of the matrix's own datatype, as rows do."""
    model = table()
    columns = {"b": np.array([[0.5], [1.5]]), "a": np.array([[1], [2]])}
    batch, rows = model.from_tensors(columns)
    assert (rows, list(batch)) == (2, ["input"])
    np.testing.assert_array_equal(batch["input"], [[1, 0.5], [2, 1.5]])
    whole = Signature(inputs=(A,), outputs=(SUM,), matrix=MATRIX)
    (found,) = table(signature=whole).from_tensors({"a": np.array([[1], [2]])})[0].values()
    assert found.dtype == np.float64


@pytest.mark.parametrize(
    ("signature", "tensors", "rows"),
    [
        (Signature(inputs=(MATRIX,), outputs=(), matrix=MATRIX), {"input": np.zeros((3, 2))}, 3),
        (IMAGES, {"image": np.zeros((4, 2, 5))}, 4),
        (
            Signature(inputs=(TensorSpec(name="x", datatype="FP64", shape=()),), outputs=()),
            {"x": np.array(1.0)},
            1,
        ),
    ],
)
def test_other_tensors_stay_as_they_are(signature: Signature, tensors: Tensors, rows: int) -> None:
    model = table(signature=signature)
    assert model.from_tensors(tensors) == (tensors, rows)
    assert model.to_tensors(tensors) is tensors


def test_a_model_of_true_tensors_says_where_to_go() -> None:
    model = table(signature=IMAGES)
    with pytest.raises(InputError) as caught:
        model.decode_rows(b"{}")
    assert str(caught.value) == (
        "this model takes tensors, not rows of fields (image [-1, 2, -1]); "
        "send them to /v2/models/…/infer"
    )
    with pytest.raises(InputError):
        model.encode_answers({}, single=True)


def test_a_runtime_is_called_from_one_thread_that_is_not_the_loops() -> None:
    """The loop answers probes meanwhile; the runtime need not be thread-safe."""
    runtime = Fake()
    model = TensorModel(runtime, max_rows=3)

    async def several() -> None:
        await asyncio.gather(*(model.execute(runtime.sample(1)) for _ in range(5)))

    asyncio.run(several())
    assert len(set(runtime.threads)) == 1
    assert threading.get_ident() not in runtime.threads


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), ()])
def test_an_answer_of_another_number_of_rows(shape: tuple[int, ...]) -> None:
    """Else a caller would get another's rows."""
    model = table(function=lambda _: {"sum": np.zeros(shape)})
    with pytest.raises(PredictionError) as caught:
        execute(model, model._runtime.sample(2))
    assert str(caught.value) == f"output sum: expected 2 rows, found the shape {shape}"


def test_a_model_without_batches_may_answer_in_any_shape() -> None:
    model = table(function=lambda _: {"sum": np.zeros((7,))}, batchable=False)
    assert execute(model, model._runtime.sample(2))["sum"].shape == (7,)


def test_only_batches_of_one_shape_share_a_call() -> None:
    model = table(signature=IMAGES)
    kinds = [model.kind({"image": np.zeros(shape)}) for shape in ((1, 2, 5), (3, 2, 5), (1, 2, 6))]
    assert kinds[0] == kinds[1] != kinds[2]
    alone = table(batchable=False)
    assert alone.kind(alone._runtime.sample(1)) != alone.kind(alone._runtime.sample(1))


def test_what_is_merged_is_split_again() -> None:
    model = table()
    batches = [{"input": np.full((rows, 2), float(rows))} for rows in (2, 1, 3)]
    merged = model.merge(batches)
    assert merged["input"].shape == (6, 2)
    parts = model.split(merged, [2, 1, 3])
    for part, batch in zip(parts, batches, strict=True):
        np.testing.assert_array_equal(part["input"], batch["input"])


def test_a_column_may_be_called_as_the_matrix_is() -> None:
    """``input`` is a good name for a column too; the tensors still become one matrix."""
    columns = tuple(TensorSpec(name=name, datatype="FP64") for name in ("input", "b"))
    matrix = TensorSpec(name="input", datatype="FP64", shape=(-1, 2))
    signature = Signature(
        inputs=columns, outputs=TABLE.outputs, columns=columns, answers=TABLE.answers, matrix=matrix
    )
    batch, rows = table(signature=signature).from_tensors(
        {"input": np.array([[1.0], [2.0]]), "b": np.array([[3.0], [4.0]])}
    )
    assert batch["input"].tolist() == [[1, 3], [2, 4]]
    assert rows == 2


# Single rows, many at once


def test_single_rows_are_answered_with_one_call() -> None:
    runtime = Fake(add)
    rows = TensorModel(runtime, max_rows=3).single_rows
    assert rows is not None
    packed = [rows.pack(b'{"a": %d, "b": 0.5}' % number) for number in range(5)]
    assert rows.answer([row for row in packed if row]) == [
        b'{"sum":%s}' % str(number + 0.5).encode() for number in range(5)
    ]


@pytest.mark.parametrize(
    "body", [b"[1]", b'{"a": 1}', b'{"a": "x", "b": 1}', b"{", b' {"a": 1, "b": 2}']
)
def test_what_is_no_plain_row_is_left_to_others(body: bytes) -> None:
    rows = table().single_rows
    assert rows is not None
    assert rows.pack(body) is None


def test_rows_that_share_no_call_are_no_single_rows() -> None:
    assert table(batchable=False).single_rows is None
    assert table(signature=IMAGES).single_rows is None
