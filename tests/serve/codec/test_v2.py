"""The Open Inference Protocol's infer request and response."""

import json
import struct
from typing import Any

import numpy as np
import pytest

from boxship.errors import InputError, MalformedError
from boxship.serve.codec import v2
from boxship.serve.codec.v2 import InferRequest, TensorsCodec
from boxship.serve.turns import at_once
from boxship.signature import DATATYPES, Datatype, TensorSpec

COLUMN = TensorSpec(name="age", datatype="FP64")
CITY = TensorSpec(name="city", datatype="BYTES", nullable=True)
IMAGE = TensorSpec(name="image", datatype="FP32", shape=(-1, 2, 2))
SCORE = TensorSpec(name="score", datatype="FP64")
LABEL = TensorSpec(name="label", datatype="BYTES", shape=(-1,))


def codec(
    *inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (SCORE, LABEL), max_rows: int = 10
) -> TensorsCodec:
    return TensorsCodec(inputs or (COLUMN,), outputs, max_rows)


def tensor(
    name: str = "age", shape: Any = (1,), datatype: str = "FP64", data: Any = (3,), **more: Any
) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def parse(
    request: Any, reader: TensorsCodec | None = None, *, tail: bytes = b"", length: Any = None
) -> InferRequest:
    head = request if isinstance(request, bytes) else json.dumps(request).encode()
    if tail and length is None:
        length = str(len(head))
    return at_once(v2.parse(head + tail, length, reader or codec()))


def refused(request: Any, reader: TensorsCodec | None = None, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(request, reader, **options)
    return [str(problem) for problem in caught.value.problems]


def malformed(request: Any, reader: TensorsCodec | None = None, **options: Any) -> str:
    with pytest.raises(MalformedError) as caught:
        parse(request, reader, **options)
    return str(caught.value)


# Tensors that fit


def test_a_request_of_one_tensor() -> None:
    request = parse({"inputs": [tensor(shape=[2, 1], data=[1, 2.5])]})
    assert (request.id, request.binary) == ("", {"score": False, "label": False})
    np.testing.assert_array_equal(request.tensors["age"], [[1], [2.5]])


@pytest.mark.parametrize(
    ("spec", "shape", "data", "found"),
    [
        (COLUMN, [2], [1, 2], (2, 1)),
        (COLUMN, [2, 1], [[1], [2]], (2, 1)),
        (IMAGE, [1, 2, 2], [1, 2, 3, 4], (1, 2, 2)),
        (IMAGE, [1, 2, 2], [[[1, 2], [3, 4]]], (1, 2, 2)),
        (TensorSpec(name="x", datatype="FP64", shape=(-1,)), [3], [1, 2, 3], (3,)),
        (TensorSpec(name="x", datatype="FP64", shape=(-1, -1)), [1, 3], [1, 2, 3], (1, 3)),
        (TensorSpec(name="x", datatype="FP64", shape=(2, 3)), [2, 3], [[1, 2, 3]] * 2, (2, 3)),
        (TensorSpec(name="x", datatype="FP64", shape=()), [], [1], ()),
    ],
)
def test_shapes_that_fit(
    spec: TensorSpec, shape: list[int], data: Any, found: tuple[int, ...]
) -> None:
    """Flat [n] stands for [n, 1]; data is flat or nested; the model gets its own rank."""
    entry = tensor(spec.name, shape, spec.datatype, data)
    assert parse({"inputs": [entry]}, codec(spec)).tensors[spec.name].shape == found


@pytest.mark.parametrize(
    ("shape", "found"),
    [([2, 2], "[2, 2]"), ([], "[]"), ([1, 1, 1], "[1, 1, 1]"), ([-1, 1], "[-1, 1]")],
)
def test_a_shape_that_does_not_fit(shape: list[int], found: str) -> None:
    assert refused({"inputs": [tensor(shape=shape)]}) == [
        f"age.shape: expected [-1, 1], found {found}"
    ]


def test_flat_stands_for_one_column_only() -> None:
    matrix = TensorSpec(name="age", datatype="FP64", shape=(-1, 3))
    assert refused({"inputs": [tensor(shape=[3], data=[1, 2, 3])]}, codec(matrix)) == [
        "age.shape: expected [-1, 3], found [3]"
    ]


def test_a_shape_beyond_all_memory() -> None:
    """Refused before anything of that size is made."""
    assert refused({"inputs": [tensor(shape=[2**41, 1])]}) == [
        "age.shape: expected fewer elements, found [2199023255552, 1]"
    ]


WIDER = {
    "UINT8": {"UINT16", "UINT32", "UINT64", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"},
    "UINT16": {"UINT32", "UINT64", "INT32", "INT64", "FP32", "FP64"},
    "UINT32": {"UINT64", "INT64", "FP64"},
    "UINT64": {"FP64"},
    "INT8": {"INT16", "INT32", "INT64", "FP16", "FP32", "FP64"},
    "INT16": {"INT32", "INT64", "FP32", "FP64"},
    "INT32": {"INT64", "FP64"},
    "INT64": {"FP64"},
    "FP16": {"FP32", "FP64"},
    "FP32": {"FP64"},
}


@pytest.mark.parametrize("given", DATATYPES)
@pytest.mark.parametrize("wanted", DATATYPES)
def test_a_datatype_may_be_widened(given: Datatype, wanted: Datatype) -> None:
    """A client may send a smaller datatype, never one that loses something, and BOOL is none."""
    spec = TensorSpec(name="age", datatype=wanted)
    data = {"BOOL": [True], "BYTES": ["1"]}.get(given, [1])
    request = {"inputs": [tensor(datatype=given, data=data)]}
    if given == wanted or wanted in WIDER.get(given, ()):
        assert parse(request, codec(spec)).tensors["age"].tolist() == [data]
    else:
        assert refused(request, codec(spec)) == [
            f'age.datatype: expected {wanted}, found the string "{given}"'
        ]


@pytest.mark.parametrize("datatype", ["fp64", "STRING", ""])
def test_a_datatype_that_the_protocol_does_not_have(datatype: str) -> None:
    assert refused({"inputs": [tensor(datatype=datatype)]}) == [
        f'age.datatype: expected FP64, found the string "{datatype}"'
    ]


def test_a_value_is_held_to_the_datatype_that_was_sent() -> None:
    """An INT8 of 300 is wrong, whatever the model takes."""
    assert refused({"inputs": [tensor(datatype="INT8", data=[300])]}) == [
        "age.data[0]: expected a whole number from -128 to 127, found the number 300"
    ]


def test_missing_values() -> None:
    inputs = [tensor(data=[None]), tensor("city", [1], "BYTES", [None])]
    assert refused({"inputs": inputs}, codec(COLUMN, CITY)) == [
        "age.data[0]: expected a finite number, found null"
    ]
    nullable = TensorSpec(name="age", datatype="FP64", nullable=True)
    tensors = parse({"inputs": inputs}, codec(nullable, CITY)).tensors
    assert np.isnan(tensors["age"]).tolist() == [[True]]
    assert tensors["city"].tolist() == [[None]]


def test_an_optional_input_may_be_left_out() -> None:
    optional = TensorSpec(name="extra", datatype="FP64", required=False)
    assert set(parse({"inputs": [tensor()]}, codec(COLUMN, optional)).tensors) == {"age"}


# Every problem


def test_every_problem_is_reported() -> None:
    inputs = [
        tensor(shape=[2, 2]),
        tensor("town", [1], "BYTES", ["x"]),
        tensor("age"),
        tensor("age"),
    ]
    assert refused({"inputs": inputs}, codec(COLUMN, CITY)) == [
        "age.shape: expected [-1, 1], found [2, 2]",
        'inputs[1].name: expected one of age, city, found the string "town"',
        "inputs[3].name: expected each name once, found twice",
        "inputs.city: expected a BYTES tensor, found nothing: it is missing",
    ]


def test_a_client_is_not_flooded() -> None:
    assert len(refused({"inputs": [tensor("x")] * 50})) == 20
    outputs = [{"name": "x"}] * 50
    assert len(refused({"inputs": [tensor()], "outputs": outputs})) == 20


def test_as_many_rows_in_every_tensor() -> None:
    inputs = [tensor(shape=[2], data=[1, 2]), tensor("city", [1], "BYTES", ["x"])]
    assert refused({"inputs": inputs}, codec(COLUMN, CITY)) == [
        "inputs: expected as many rows in every tensor, found age 2, city 1"
    ]


@pytest.mark.parametrize("count", [0, 11])
def test_the_number_of_rows(count: int) -> None:
    assert refused({"inputs": [tensor(shape=[count], data=[1] * count)]}) == [
        f"body: expected a list of 1 to 10 rows, found {count} rows"
    ]


def test_a_fixed_first_dimension_counts_no_rows() -> None:
    """A model of one image of 224 x 224 has no batch."""
    fixed = TensorSpec(name="age", datatype="FP64", shape=(20, 1))
    request = parse({"inputs": [tensor(shape=[20, 1], data=[1] * 20)]}, codec(fixed))
    assert request.tensors["age"].shape == (20, 1)


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({}, "body: expected the required field `inputs`"),
        ([], "body: expected `object`, found `array`"),
        ({"inputs": 3}, "inputs: expected `array`, found `int`"),
        ({"inputs": [3]}, "inputs[0]: expected `object`, found `int`"),
        ({"inputs": [{"name": "a"}]}, "inputs[0]: expected the required field `shape`"),
        ({"inputs": [tensor(shape="x")]}, "inputs[0].shape: expected `array`, found `str`"),
        ({"inputs": [tensor(shape=[1.5])]}, "inputs[0].shape[0]: expected `int`, found `float`"),
        ({"inputs": [], "id": 3}, "id: expected `str`, found `int`"),
        ({"inputs": [], "parameters": None}, "parameters: expected `object`, found `null`"),
        (
            {"inputs": [tensor()], "parameters": {"binary_data_output": 1}},
            "parameters.binary_data_output: expected true or false, found the number 1",
        ),
        (
            {"inputs": [tensor()], "outputs": [{"name": "x"}]},
            'outputs[0].name: expected one of score, label, found the string "x"',
        ),
        (
            {
                "inputs": [tensor()],
                "outputs": [{"name": "score", "parameters": {"classification": 2}}],
            },
            "outputs[0]: the parameter 'classification' is not supported here",
        ),
        (
            {
                "inputs": [tensor()],
                "outputs": [{"name": "score", "parameters": {"shared_memory_region": "x"}}],
            },
            "outputs[0]: the parameter 'shared_memory_region' is not supported here",
        ),
        (
            {
                "inputs": [tensor()],
                "outputs": [{"name": "score", "parameters": {"binary_data": "yes"}}],
            },
            'outputs[0].parameters.binary_data: expected true or false, found the string "yes"',
        ),
        (
            {"inputs": [tensor(parameters={"shared_memory_region": "x"})]},
            "age: shared memory is not supported here",
        ),
        ({"inputs": [{**tensor(), "data": 3}]}, "age.data: expected a list of elements, found the"),
        (
            {"inputs": [{"name": "age", "shape": [1], "datatype": "FP64"}]},
            "age.data: expected a list of elements, found nothing",
        ),
    ],
)
def test_a_request_that_does_not_fit(request_: Any, problem: str) -> None:
    """The place first, as a path; then what was expected and what was found."""
    (found,) = refused(request_)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected JSON, found: an empty body"),
        (b'{"inputs": [', "expected JSON, found: Expecting value at position 12"),
        (b'{"id": "\xff"}', "expected JSON in UTF-8, found the byte 0xff at position 8"),
        (b'{"x": ' + b"[" * 100_000, "expected JSON of a few levels, found it nested too"),
        (rb'{"id": "\ud800", "inputs": []}', r"expected JSON, found: '\ud800', which is half"),
    ],
)
def test_a_body_that_is_no_json(body: bytes, message: str) -> None:
    assert malformed(body).startswith(message)


# Binary tensors


def binary(name: str, shape: list[int], datatype: str, size: Any) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters}


def test_binary_tensors_follow_the_json_part() -> None:
    """One after the other, mixed with those that travel in JSON."""
    inputs = [
        binary("age", [2, 1], "FP64", 16),
        tensor("image", [2, 2, 2], "FP32", list(range(8))),
        binary("city", [2], "BYTES", 10),
    ]
    tail = struct.pack("<2d", 1.5, 2.5) + b"\x00\x00\x00\x00\x02\x00\x00\x00hi"
    tensors = parse({"inputs": inputs}, codec(COLUMN, IMAGE, CITY), tail=tail).tensors
    assert tensors["age"].tolist() == [[1.5], [2.5]]
    assert tensors["city"].tolist() == [[""], ["hi"]]
    assert tensors["image"].shape == (2, 2, 2)


def test_a_binary_tensor_is_widened_too() -> None:
    inputs = [binary("age", [1], "FP16", 2)]
    tensors = parse({"inputs": inputs}, tail=b"\x00\x3e").tensors
    assert (str(tensors["age"].dtype), tensors["age"].tolist()) == ("float64", [[1.5]])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_binary_number_that_is_not_finite(value: float) -> None:
    """NaN is a missing value where one may be missing; infinity is never a number of a row."""
    inputs = [binary("age", [2, 1], "FP64", 16)]
    tail = struct.pack("<2d", 0, value)
    assert refused({"inputs": inputs}, tail=tail) == [
        f"age[1][0]: expected a finite number, found {value}"
    ]
    nullable = codec(TensorSpec(name="age", datatype="FP64", nullable=True))
    if value != value:  # noqa: PLR0124 (NaN is not itself)
        assert np.isnan(parse({"inputs": inputs}, nullable, tail=tail).tensors["age"][1, 0])
    else:
        assert refused({"inputs": inputs}, nullable, tail=tail) == [
            f"age[1][0]: expected a finite number or null, found {value}"
        ]


def test_data_and_bytes_at_once() -> None:
    inputs = [binary("age", [1], "FP64", 8) | {"data": [1]}]
    assert refused({"inputs": inputs}, tail=bytes(8)) == [
        "age: expected data or binary_data_size, found both"
    ]


def test_bytes_that_do_not_fill_the_shape() -> None:
    assert refused({"inputs": [binary("age", [1], "FP64", 4)]}, tail=bytes(4)) == [
        "age.binary_data_size: expected 8 bytes for the shape [1], found 4"
    ]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (
            4,
            (
                "expected 4 bytes of binary tensors (the sum of binary_data_size), "
                "found 8 after the JSON part"
            ),
        ),
        (
            9,
            (
                "inputs[0].parameters.binary_data_size: expected at most the 8 bytes that are left "
                "of the body, found 9"
            ),
        ),
        (
            -1,
            (
                "inputs[0].parameters.binary_data_size: expected a number of bytes, "
                "found the number -1"
            ),
        ),
        (
            True,
            "inputs[0].parameters.binary_data_size: expected a number of bytes, found true",
        ),
        (
            "8",
            (
                "inputs[0].parameters.binary_data_size: expected a number of bytes, "
                'found the string "8"'
            ),
        ),
    ],
)
def test_sizes_that_lie(size: Any, message: str) -> None:
    """A length that lies is no JSON that does not fit: the body is cut wrongly."""
    assert malformed({"inputs": [binary("age", [1], "FP64", size)]}, tail=bytes(8)) == message


@pytest.mark.parametrize("length", ["", "x", "-1", "1.5", " 5", "٣", "9" * 19])
def test_a_header_that_is_no_length(length: str) -> None:
    assert malformed({"inputs": [tensor()]}, length=length) == (
        "Inference-Header-Content-Length: expected the JSON part's length in bytes, "
        f"found {length!r}"
    )


def test_a_header_longer_than_the_body() -> None:
    assert malformed(b"{}", length="3") == (
        "Inference-Header-Content-Length: expected at most the body's 2 bytes, found 3"
    )


def test_a_header_for_a_body_without_bytes() -> None:
    """As Triton's client sends it."""
    body = json.dumps({"inputs": [tensor()]})
    assert parse(body.encode(), length=str(len(body))).tensors["age"].tolist() == [[3]]


# The response


OUTPUTS = {
    "score": np.array([[0.25], [float("nan")]]),
    "label": np.array(["no", "yes"], dtype=object),
}


def respond(**request: Any) -> v2.InferResponse:
    reader = codec()
    parsed = parse({"inputs": [tensor()], **request}, reader)
    return at_once(reader.response(parsed, OUTPUTS, model="churn", version="3"))


def test_a_response_in_json() -> None:
    """Every output, flat, with its shape; what JSON cannot say is null."""
    response = respond(id="42")
    assert response.header_length is None
    assert json.loads(response.body) == {
        "model_name": "churn",
        "model_version": "3",
        "id": "42",
        "outputs": [
            {"name": "score", "datatype": "FP64", "shape": [2, 1], "data": [0.25, None]},
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["no", "yes"]},
        ],
    }


def test_a_response_without_an_id_has_none() -> None:
    assert "id" not in json.loads(respond().body)


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        ({}, ["score", "label"]),
        ({"outputs": []}, ["score", "label"]),
        ({"outputs": [{"name": "label"}]}, ["label"]),
        ({"outputs": [{"name": "label"}, {"name": "score"}]}, ["label", "score"]),
    ],
)
def test_the_outputs_that_are_wanted(request_: dict[str, Any], names: list[str]) -> None:
    """All of them, or those named, in that order."""
    outputs = json.loads(respond(**request_).body)["outputs"]
    assert [output["name"] for output in outputs] == names


def test_a_response_in_bytes() -> None:
    response = respond(parameters={"binary_data_output": True})
    assert response.header_length is not None
    head = json.loads(response.body[: response.header_length])
    assert [output["parameters"]["binary_data_size"] for output in head["outputs"]] == [16, 13]
    assert all("data" not in output for output in head["outputs"])
    tail = response.body[response.header_length :]
    assert tail[:8] == struct.pack("<d", 0.25)
    assert tail[16:] == b"\x02\x00\x00\x00no\x03\x00\x00\x00yes"


@pytest.mark.parametrize("every", [True, False])
def test_each_output_may_choose(every: bool) -> None:  # noqa: FBT001
    """An output's own parameter beats the request's."""
    outputs = [
        {"name": "score", "parameters": {"binary_data": not every}},
        {"name": "label"},
    ]
    response = respond(parameters={"binary_data_output": every}, outputs=outputs)
    head = json.loads(response.body[: response.header_length])
    assert ["data" in output for output in head["outputs"]] == [every, not every]
