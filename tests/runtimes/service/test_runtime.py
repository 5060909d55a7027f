"""A user's Service as a runtime: rows and arrays, sync and async, right and wrong."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
import numpy.typing as npt
import pydantic
import pytest

from boxship import InputError, Service
from boxship.errors import ModelError, PredictionError, UsageError
from boxship.runtimes.base import Tensors
from boxship.runtimes.service.runtime import ServiceRuntime
from boxship.signature import Answer, TensorSpec


@dataclass
class Customer:
    age: float
    plan: str | None = None


@dataclass
class Verdict:
    score: float
    label: str


class StructCustomer(msgspec.Struct):
    age: float
    plan: str | None = None


class PydanticCustomer(pydantic.BaseModel):
    age: float
    plan: str | None = None


class DictCustomer(TypedDict):
    age: float


class Churn(Service):
    """Predicts whether a customer leaves."""

    path: str | None = None
    warm = False

    def load(self, model_path: str | None) -> None:
        self.path = model_path

    def warmup(self) -> None:
        self.warm = True

    def predict(self, rows: list[Customer]) -> list[float]:
        """The probability that each leaves."""
        return [row.age / 100 for row in rows]


class StructChurn(Service):
    def predict(self, rows: list[StructCustomer]) -> list[float]:
        return [row.age / 100 for row in rows]


class PydanticChurn(Service):
    def predict(self, rows: list[PydanticCustomer]) -> list[float]:
        return [row.age / 100 for row in rows]


class DictChurn(Service):
    def predict(self, rows: list[DictCustomer]) -> list[float]:
        return [row["age"] / 100 for row in rows]


class AsyncChurn(Service):
    async def load(self, model_path: str | None) -> None:
        await asyncio.sleep(0)
        self.factor = 2.0

    async def warmup(self) -> None:
        await self.predict([Customer(age=1)])

    async def predict(self, rows: list[Customer]) -> list[Verdict]:
        await asyncio.sleep(0)
        return [Verdict(score=row.age * self.factor, label=row.plan or "none") for row in rows]


class Doubling(Service):
    def predict(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(rows.sum(axis=1) * 2, np.float32)


class Freely(Service):
    def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(rows.argmax(axis=1))


@pytest.mark.parametrize("kind", [Churn, StructChurn, PydanticChurn, DictChurn])
def test_a_row_is_any_of_the_four_object_types(kind: type[Service]) -> None:
    runtime = ServiceRuntime(kind)
    rows, single = runtime.decode_rows(b'[{"age": 50}, {"age": 7.5}]')
    assert not single
    assert runtime.encode_answers(runtime.run(rows), single=single) == (
        b'[{"value":0.5},{"value":0.075}]'
    )
    rows, single = runtime.decode_rows(b' {"age": 50}')
    assert single
    assert runtime.encode_answers(runtime.run(rows), single=single) == b'{"value":0.5}'


def test_what_the_runtime_says_about_itself() -> None:
    runtime = ServiceRuntime(Churn)
    assert runtime.name == "service Churn"
    assert runtime.row_type is Customer
    assert not runtime.is_async
    assert runtime.signature.description == "Predicts whether a customer leaves."
    assert runtime.predict_description == "The probability that each leaves."


def test_the_signature_of_rows_is_a_tensor_per_field() -> None:
    signature = ServiceRuntime(Churn).signature
    age = TensorSpec(name="age", datatype="FP64", example=1.0)
    plan = TensorSpec(name="plan", datatype="BYTES", nullable=True, required=False, example="text")
    assert signature.inputs == signature.columns == (age, plan)
    assert signature.outputs == (TensorSpec(name="value", datatype="FP64", shape=(-1,)),)
    assert signature.answers == (Answer(name="value", output="value"),)
    assert signature.matrix is None


def test_the_signature_of_object_answers_is_a_tensor_per_field() -> None:
    signature = ServiceRuntime(AsyncChurn).signature
    assert [(spec.name, spec.datatype, spec.shape) for spec in signature.outputs] == [
        ("score", "FP64", (-1,)),
        ("label", "BYTES", (-1,)),
    ]
    assert [answer.name for answer in signature.answers] == ["score", "label"]


def test_load_and_warmup_are_called_with_the_path() -> None:
    service = Churn()
    runtime = ServiceRuntime(service)
    asyncio.run(runtime.load("model.bin"))
    asyncio.run(runtime.warmup())
    assert service.path == "model.bin"
    assert service.warm


def test_an_async_service_is_awaited_throughout() -> None:
    async def through() -> bytes:
        runtime = ServiceRuntime(AsyncChurn)
        assert runtime.is_async
        await runtime.load(None)
        await runtime.warmup()
        rows, single = runtime.decode_rows(b'{"age": 1.5, "plan": "gold"}')
        return runtime.encode_answers(await runtime.run_async(rows), single=single)

    assert asyncio.run(through()) == b'{"score":3.0,"label":"gold"}'


def test_v2_tensors_give_the_answers_that_json_gives() -> None:
    runtime = ServiceRuntime(Churn)
    tensors: Tensors = {
        "age": np.array([[50.0], [7.5]]),
        "plan": np.array([["gold"], [None]], dtype=object),
    }
    rows = runtime.rows_from_tensors(tensors)
    assert rows == [Customer(50, "gold"), Customer(7.5, None)]
    outputs = runtime.tensors_from_answers(runtime.run(rows))
    assert outputs["value"].tolist() == [0.5, 0.075]
    assert outputs["value"].dtype == np.float64


def test_an_empty_batch_has_empty_answers_and_calls_nothing() -> None:
    runtime = ServiceRuntime(Failing(ValueError("called")))
    assert runtime.run([]) == []
    assert ServiceRuntime(Doubling).run({"input": np.zeros((0, 2), np.float32)})["value"].size == 0


class Failing(Service):
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error or ValueError("bad weights")

    def load(self, model_path: str | None) -> None:
        raise self.error

    def warmup(self) -> None:
        raise self.error

    def predict(self, rows: list[Customer]) -> list[float]:
        raise self.error


@pytest.mark.parametrize("method", ["load", "warmup"])
def test_a_failing_start_names_class_method_exception_and_line(method: str) -> None:
    runtime = ServiceRuntime(Failing)
    start = runtime.load(None) if method == "load" else runtime.warmup()
    with pytest.raises(ModelError) as caught:
        asyncio.run(start)
    assert f"Failing.{method} raised ValueError: bad weights (" in caught.value.message
    assert "test_runtime.py:" in caught.value.message
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_model_error_of_the_users_own_passes_through() -> None:
    mine = ModelError("no such file", tip="Fetch it.")
    with pytest.raises(ModelError) as caught:
        asyncio.run(ServiceRuntime(Failing(mine)).load(None))
    assert caught.value is mine


def test_a_failing_init_is_a_model_error() -> None:
    class Needy(Churn):
        def __init__(self, threshold: float) -> None:
            self.threshold = threshold

    with pytest.raises(ModelError, match=r"Needy\(\) raised TypeError: .*threshold"):
        ServiceRuntime(Needy)
    assert ServiceRuntime(Needy(0.5)).name == "service Needy"


def test_a_failing_predict_keeps_its_cause() -> None:
    with pytest.raises(PredictionError, match=r"Failing.predict raised KeyError: 'x'") as caught:
        ServiceRuntime(Failing(KeyError("x"))).run([Customer(1)])
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_users_input_error_passes_through() -> None:
    mine = InputError("age must not be negative")
    with pytest.raises(InputError) as caught:
        ServiceRuntime(Failing(mine)).run([Customer(1)])
    assert caught.value is mine


def test_a_failing_async_predict_is_told_alike() -> None:
    class Async(Failing):
        async def predict(  # type: ignore[override]
            self, rows: list[Customer]
        ) -> list[float]:
            raise self.error

    with pytest.raises(PredictionError, match=r"Async\.predict raised ValueError"):
        asyncio.run(ServiceRuntime(Async).run_async([Customer(1)]))
    with pytest.raises(InputError):
        asyncio.run(ServiceRuntime(Async(InputError("no"))).run_async([Customer(1)]))


class Returning(Service):
    def __init__(self, result: Any = None) -> None:
        self.result = result

    def predict(self, rows: list[Customer]) -> list[float]:
        return self.result  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([0.5], "expected 2 answers, one for each row, found 1"),
        ([0.5, 0.5, 0.5], "expected 2 answers, one for each row, found 3"),
        (None, "expected a list of 2 answers, found None"),
        ({"a": 1}, "expected a list of 2 answers, found an object of type dict"),
        (0.5, "expected a list of 2 answers, found an object of type float"),
        (np.float64(0.5), "expected a list of 2 answers, found an object of type float"),
    ],
)
def test_answers_that_are_no_list_of_the_same_length(result: Any, message: str) -> None:
    with pytest.raises(PredictionError, match=f"Returning.predict: {message}"):
        ServiceRuntime(Returning(result)).run([Customer(1), Customer(2)])


@pytest.mark.parametrize(
    "result", [(0.25, 1.0), np.array([0.25, 1.0]), np.array([0.25, 1.0], np.float32)]
)
def test_tuples_and_arrays_are_answers_too(result: Any) -> None:
    runtime = ServiceRuntime(Returning(result))
    answers = runtime.run([Customer(1), Customer(2)])
    assert runtime.encode_answers(answers, single=False) == b'[{"value":0.25},{"value":1.0}]'


def test_answers_of_another_type_than_hinted_are_the_models_failure() -> None:
    runtime = ServiceRuntime(Returning([{"score": 1}]))
    with pytest.raises(PredictionError, match="expected answers of type float, found dict"):
        runtime.encode_answers(runtime.run([Customer(1)]), single=True)
    with pytest.raises(PredictionError, match="expected answers of type float, found dict"):
        runtime.tensors_from_answers(runtime.run([Customer(1)]))


def test_code_of_the_row_type_that_fails_is_the_models_failure() -> None:
    with pytest.raises(PredictionError, match="making a row failed: KeyError: 'oops'"):
        ServiceRuntime(Checked).decode_rows(b'{"age": 1}')


@dataclass
class Broken:
    age: float

    def __post_init__(self) -> None:
        raise KeyError("oops")


class Checked(Service):
    def predict(self, rows: list[Broken]) -> list[float]:
        return []


# Arrays


def columns(*names: str, datatype: Any = "FP64") -> list[TensorSpec]:
    return [TensorSpec(name=name, datatype=datatype) for name in names]


def test_an_array_service_takes_and_returns_tensors() -> None:
    runtime = ServiceRuntime(Doubling)
    assert runtime.row_type is None
    assert runtime.signature.columns is None
    assert runtime.signature.inputs == (TensorSpec(name="input", datatype="FP32", shape=(-1, -1)),)
    outputs = runtime.run({"input": np.array([[1, 2], [3, 4]], np.float32)})
    assert outputs["value"].tolist() == [6.0, 14.0]
    assert outputs["value"].dtype == np.float32


def test_declared_columns_are_one_matrix() -> None:
    signature = ServiceRuntime(Doubling, inputs=columns("a", "b")).signature
    assert signature.columns == signature.inputs == tuple(columns("a", "b"))
    assert signature.matrix == TensorSpec(name="input", datatype="FP32", shape=(-1, 2))


@pytest.mark.parametrize(
    ("datatypes", "matrix"),
    [(("FP32", "FP32"), "FP32"), (("INT64", "FP32"), "FP64"), (("BYTES", "BYTES"), "BYTES")],
)
def test_a_bare_ndarray_takes_the_datatype_of_its_columns(
    datatypes: tuple[Any, ...], matrix: str
) -> None:
    inputs = [TensorSpec(name=f"x{i}", datatype=kind) for i, kind in enumerate(datatypes)]
    found = ServiceRuntime(Freely, inputs=inputs).signature.matrix
    assert found is not None
    assert found.datatype == matrix


def test_one_declared_tensor_keeps_its_name_and_shape() -> None:
    class Bright(Service):
        def predict(self, rows: npt.NDArray[np.float32]) -> list[float]:
            return [float(image.mean()) for image in rows]

    image = TensorSpec(name="image", datatype="FP32", shape=(-1, 2, 2))
    runtime = ServiceRuntime(Bright, inputs=[image])
    assert runtime.signature.inputs == (image,)
    sample = runtime.sample(3)
    assert isinstance(sample, dict)
    assert sample["image"].shape == (3, 2, 2)
    assert runtime.run(sample)["value"].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("service", "inputs", "message"),
    [
        (Churn, columns("a"), "whose fields are the inputs; expected no other inputs, found a"),
        (Doubling, columns("a", datatype="BYTES"), "an array of FP32, but the project's inputs"),
        (Freely, [*columns("a"), *columns("b", datatype="BYTES")], "inputs b are BYTES"),
        (
            Doubling,
            [TensorSpec(name=name, datatype="FP32", shape=(-1, 3)) for name in "ab"],
            "found 2 inputs of other shapes",
        ),
        (
            Doubling,
            [TensorSpec(name="a", datatype="BYTES", shape=(-1, 3))],
            "an array of FP32, but the project's inputs are BYTES",
        ),
    ],
)
def test_declared_inputs_that_do_not_fit(
    service: type[Service], inputs: list[TensorSpec], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ServiceRuntime(service, inputs=inputs)


def test_the_first_answer_settles_what_the_hint_left_open() -> None:
    runtime = ServiceRuntime(Freely)
    assert runtime.signature.outputs[0].shape == (-1, -1)
    runtime.run({"input": np.eye(3)})
    assert runtime.signature.outputs == (TensorSpec(name="value", datatype="INT64", shape=(-1,)),)


class Array(Service):
    def __init__(self, result: Any = None) -> None:
        self.result = result

    def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return self.result  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros(3), r"expected an array of 2 rows, found one of shape \[3\]"),
        (np.float32(1), r"expected an array of 2 rows, found one of shape \[\]"),
        (np.zeros((2, 2)), r"expected an array of 1 dimensions, found shape \[2, 2\]"),
        (np.array(["a", "b"]), "expected an array of float32"),
        ([[1], [2, 3]], "found lists of different lengths"),
    ],
)
def test_arrays_that_are_not_as_hinted(result: Any, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        ServiceRuntime(Array(result)).run({"input": np.zeros((2, 1))})


def test_an_array_of_unknown_things_is_refused() -> None:
    class Odd(Service):
        def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return np.zeros(len(rows), dtype=complex)

    with pytest.raises(PredictionError, match="numbers or strings, found complex128"):
        ServiceRuntime(Odd).run({"input": np.zeros((2, 1))})


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array(["no", "yes"], object), np.array([b"no", b"yes"])]
)
def test_string_arrays_become_bytes_tensors(labels: npt.NDArray[Any]) -> None:
    class Labels(Service):
        def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return labels

    runtime = ServiceRuntime(Labels)
    outputs = runtime.run({"input": np.zeros((2, 1))})
    assert outputs["value"].tolist() == ["no", "yes"]
    assert outputs["value"].dtype == object
    assert runtime.signature.outputs[0].datatype == "BYTES"


def test_an_array_service_may_answer_with_objects() -> None:
    class Judge(Service):
        def predict(self, rows: np.ndarray[Any, Any]) -> list[Verdict]:
            return [Verdict(score=float(row[0]), label="x") for row in rows]

    runtime = ServiceRuntime(Judge)
    outputs = runtime.run({"input": np.array([[1.0], [2.0]])})
    assert {name: array.tolist() for name, array in outputs.items()} == {
        "score": [1.0, 2.0],
        "label": ["x", "x"],
    }


@pytest.mark.parametrize(
    ("result", "body", "tensor"),
    [
        (np.array([1.5, 2.5]), [{"value": 1.5}, {"value": 2.5}], [1.5, 2.5]),
        (np.eye(2), [{"value": [1.0, 0.0]}, {"value": [0.0, 1.0]}], [[1.0, 0.0], [0.0, 1.0]]),
        (np.ones((2, 1, 1)), [{"value": [[1.0]]}] * 2, [[[1.0]], [[1.0]]]),
    ],
)
def test_a_row_service_may_return_one_array(result: Any, body: Any, tensor: Any) -> None:
    class Rows(Service):
        def predict(self, rows: list[Customer]) -> npt.NDArray[np.float64]:
            return np.asarray(result)

    runtime = ServiceRuntime(Rows)
    answers = runtime.run([Customer(1), Customer(2)])
    assert json.loads(runtime.encode_answers(answers, single=False)) == body
    assert runtime.tensors_from_answers(answers)["value"].tolist() == tensor
    assert runtime.signature.outputs[0].shape == (-1,) * result.ndim


# Examples and samples


def test_samples_of_rows_come_from_the_example() -> None:
    runtime = ServiceRuntime(Churn)
    assert runtime.example_rows() == [{"age": 1.0, "plan": "text"}]
    assert runtime.sample(2) == [Customer(1.0, "text")] * 2


@dataclass
class Coded:
    code: Annotated[str, msgspec.Meta(pattern="^[0-9]{5}$")]


def test_no_example_is_better_than_one_that_is_refused() -> None:
    class Codes(Service):
        def predict(self, rows: list[Coded]) -> list[str]:
            return [row.code for row in rows]

    runtime = ServiceRuntime(Codes)
    assert runtime.example_rows() == []
    assert runtime.sample(1) is None


def test_samples_of_arrays_need_the_number_of_columns() -> None:
    assert ServiceRuntime(Doubling).sample(2) is None
    assert ServiceRuntime(Doubling).example_rows() == []
    inputs = [TensorSpec(name="a", datatype="FP64", example=3.5), *columns("b")]
    sample = ServiceRuntime(Doubling, inputs=inputs).sample(2)
    assert isinstance(sample, dict)
    assert sample["input"].tolist() == [[3.5, 0.0], [3.5, 0.0]]
    text = ServiceRuntime(Freely, inputs=columns("a", datatype="BYTES")).sample(1)
    assert isinstance(text, dict)
    assert text["input"].tolist() == [["text"]]


def test_an_array_service_has_no_row_schema() -> None:
    with pytest.raises(TypeError, match="Doubling takes an array, not rows"):
        ServiceRuntime(Doubling).row_schema()


def test_schemas_refer_to_components() -> None:
    runtime = ServiceRuntime(AsyncChurn)
    schema, components = runtime.row_schema()
    assert schema == {"$ref": "#/components/schemas/Customer"}
    assert components["Customer"]["required"] == ["age"]
    schema, components = runtime.answer_schema()
    assert schema == {"$ref": "#/components/schemas/Verdict"}
    assert set(components["Verdict"]["properties"]) == {"score", "label"}


def test_the_description_falls_back_to_the_module() -> None:
    class Silent(Service):
        def predict(self, rows: list[Customer]) -> list[float]:
            return [0.0 for _ in rows]

    runtime = ServiceRuntime(Silent)
    assert runtime.signature.description == (__doc__ or "").strip()
    assert runtime.predict_description == ""


def test_a_service_without_predict_is_refused() -> None:
    class Empty(Service):
        pass

    with pytest.raises(UsageError, match="Empty has no predict"):
        ServiceRuntime(Empty)
