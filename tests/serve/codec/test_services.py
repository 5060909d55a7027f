"""A user's service as the routes see it."""

import asyncio
import json
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pytest

from boxship import Service
from boxship.errors import InputError, PredictionError
from boxship.runtimes.service.runtime import ServiceRuntime
from boxship.serve.codec.models import ASYNC_SLOTS, TensorModel
from boxship.serve.codec.services import ServiceModel, of_service
from boxship.signature import TensorSpec


def execute(model: Any, batch: Any) -> Any:
    async def once() -> Any:
        return await model.execute(batch)

    return asyncio.run(once())


# Services of rows


class Person(TypedDict):
    age: int


class Older(Service):
    """Answers who is a year older."""

    def predict(self, rows: list[Person]) -> list[float]:
        if any(row["age"] < 0 for row in rows):
            raise InputError("age must not be negative")
        return [row["age"] + 1.0 for row in rows]


class LaterOlder(Service):
    async def predict(self, rows: list[Person]) -> list[float]:
        await asyncio.sleep(0)
        return [row["age"] + 1.0 for row in rows]


class Short(Service):
    def predict(self, rows: list[Person]) -> list[float]:
        return [0.0]


def service(kind: type[Service]) -> ServiceModel:
    model = of_service(ServiceRuntime(kind), max_rows=3)
    assert isinstance(model, ServiceModel)
    return model


@pytest.mark.parametrize(("kind", "slots"), [(Older, 1), (LaterOlder, ASYNC_SLOTS)])
def test_a_service_of_rows(kind: type[Service], slots: int) -> None:
    """Plain or async; the latter waits for others, so many calls may wait at once."""
    model = service(kind)
    assert (model.runtime, model.slots) == (f"service {kind.__name__}", slots)
    batch, rows, single = model.decode_rows(b'[{"age": 30}, {"age": 40}]')
    assert (batch, rows, single) == ([{"age": 30}, {"age": 40}], 2, False)
    answers = execute(model, batch)
    assert json.loads(model.encode_answers(answers, single=False)) == [
        {"value": 31},
        {"value": 41},
    ]
    assert json.loads(model.encode_answers(answers[:1], single=True)) == {"value": 31}


def test_a_service_speaks_tensors_too() -> None:
    model = service(Older)
    batch, rows = model.from_tensors({"age": np.array([[30], [40]])})
    assert (batch, rows) == ([{"age": 30}, {"age": 40}], 2)
    tensors = model.to_tensors(execute(model, batch))
    assert {name: array.ravel().tolist() for name, array in tensors.items()} == {
        "value": [31.0, 41.0]
    }


@pytest.mark.parametrize("count", [0, 4])
def test_the_rows_of_a_service_are_limited_too(count: int) -> None:
    with pytest.raises(InputError, match=f"expected a list of 1 to 3 rows, found {count} rows"):
        service(Older).decode_rows(json.dumps([{"age": 1}] * count).encode())


def test_rows_of_a_service_always_share_a_call() -> None:
    model = service(Older)
    assert model.kind([{"age": 1}]) == model.kind([{"age": 2}, {"age": 3}])
    merged = model.merge([[1, 2], [3], [4, 5]])
    assert merged == [1, 2, 3, 4, 5]
    assert model.split(merged, [2, 1, 2]) == [[1, 2], [3], [4, 5]]


def test_a_services_own_refusal_passes() -> None:
    with pytest.raises(InputError, match="age must not be negative"):
        execute(service(Older), [{"age": -1}])


def test_a_service_with_another_number_of_answers() -> None:
    with pytest.raises(PredictionError, match="expected 2 answers, one for each row, found 1"):
        execute(service(Short), [{"age": 1}, {"age": 2}])


# Services of arrays


class Halves(Service):
    def predict(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return x[:, 0] / 2


class LaterHalves(Service):
    async def predict(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        await asyncio.sleep(0)
        return x[:, 0] / 2


@pytest.mark.parametrize(("kind", "slots"), [(Halves, 1), (LaterHalves, ASYNC_SLOTS)])
def test_a_service_of_an_array_is_a_model_of_tensors(kind: type[Service], slots: int) -> None:
    inputs = [TensorSpec(name="b", datatype="FP64")]
    model = of_service(ServiceRuntime(kind, inputs=inputs), max_rows=3)
    assert isinstance(model, TensorModel)
    assert (model.runtime, model.slots) == (f"service {kind.__name__}", slots)
    batch, _, single = model.decode_rows(b'{"b": 3}')
    outputs = execute(model, batch)
    assert json.loads(model.encode_answers(outputs, single=single)) == {"value": 1.5}
    assert model.kind(batch) == model.kind(model._runtime.sample(2))
    assert execute(model, model._runtime.sample(2))["value"].shape[0] == 2


def test_an_array_of_unknown_width_has_no_sample() -> None:
    model = of_service(ServiceRuntime(Halves), max_rows=3)
    assert isinstance(model, TensorModel)
    assert model._runtime.sample(1) == {}
