"""What is wrong with V2 tensors, in JSON or as bytes, is said with a 400 and harms nobody else."""

import struct
from pathlib import Path
from typing import Any

import pytest
from conftest import Serve
from support.bad_requests import (
    MAX_BODY,
    MAX_ROWS,
    Case,
    Servers,
    check,
    request,
    row,
    table,
    tensor,
)

NAMES = ("age", "balance", "mean radius")
OTHERS = [tensor("balance", [-2.0]), tensor("mean radius", [0.25])]
WHOLE = [tensor("age", [1.5]), *OTHERS]
X = {"name": "X", "shape": [2, 3], "datatype": "FP32", "data": [[1, 2, 3], [4, 5, 6]]}
ONE, TWO = struct.pack("<d", 1.5), struct.pack("<2d", 1.5, 2.5)
DEEP = b"[" * 100_000
INFER = "/v2/models/churn/infer"


def bad(wrong: str, body: bytes, *says: str, model: str = "churn") -> Case:
    return Case(wrong, body, says, 400, f"/v2/models/{model}/infer", {}, model)


def age(wrong: str, *says: str, **changes: Any) -> Case:
    """The classifier's request with its first tensor spoilt."""
    return bad(wrong, request([tensor("age", [1.5]) | changes, *OTHERS]), *says)


def without(wrong: str, key: str, *says: str) -> Case:
    entry = {name: value for name, value in WHOLE[0].items() if name != key}
    return bad(wrong, request([entry, *OTHERS]), *says)


def matrix(wrong: str, *says: str, **changes: Any) -> Case:
    """The ONNX model's request with its one tensor spoilt."""
    return bad(wrong, request([X | changes]), *says, model="scores")


def wants(wrong: str, outputs: Any, *says: str) -> Case:
    return bad(wrong, request(WHOLE, outputs=outputs), *says)


ROWS = f"a list of 1 to {MAX_ROWS} rows"
AGE = "age.data[0]: expected a finite number"

JSON = [
    bad("empty body", b"", "JSON", "an empty body"),
    bad("no JSON", b"inputs", "JSON", "position 0"),
    bad("truncated", request(WHOLE)[:-9], "JSON", "position"),
    bad("NaN", request([tensor("age", [float("nan")])]), "JSON", "NaN"),
    bad("too deep", b'{"parameters":{"a":' + DEEP, "nested too deep"),
    bad("too deep data", b'{"inputs":[{"data":' + DEEP, "nested too deep"),
    bad("invalid UTF-8", b'{"id":"\xff","inputs":[]}', "UTF-8", "0xff"),
    bad("invalid UTF-8 in data", request([tensor("age", ["?"])]).replace(b"?", b"\xff"), "UTF-8"),
    bad("lone surrogate", request([], id="\ud800"), "surrogate", "ud800"),
    bad("lone surrogate in data", request([tensor("age", ["\ud800"])]), "surrogate", "ud800"),
    bad("a row", row(), "inputs", "expected the required field"),
    bad("a list", b"[]", "body: expected `object`, found `array`"),
    bad("no inputs", request([]), "inputs.age: expected a FP64 tensor, found nothing"),
    bad("null for inputs", request(None), "inputs: expected `array`, found `null`"),
    bad("object for inputs", request({}), "inputs: expected `array`, found `object`"),
    bad("null for an input", request([None]), "inputs[0]: expected `object`, found `null`"),
    bad("number for the id", request([], id=5), "id: expected `str`, found `int`"),
    bad("list for parameters", request([], parameters=[]), "parameters: expected `object`"),
    without("no name", "name", "inputs[0]: expected the required field `name`"),
    without("no shape", "shape", "inputs[0]: expected the required field `shape`"),
    without("no datatype", "datatype", "inputs[0]: expected the required field `datatype`"),
    without("no data", "data", "age.data: expected a list of elements, found nothing"),
    bad("missing input", request(OTHERS), "inputs.age: expected a FP64 tensor, found nothing"),
    age("unknown input", "inputs[0].name: expected one of age, balance", '"ages"', name="ages"),
    age("input twice", "inputs[1].name: expected each name once", name="balance"),
    bad("5,000 unknown inputs", request([tensor("x", [1])] * 5_000), "inputs[19].name"),
    age("input of 500,000 letters", "inputs[0].name", "x…", name="x" * 500_000),
    age("unknown datatype", 'age.datatype: expected FP64, found the string "F"', datatype="F"),
    age("other datatype", "age.datatype: expected FP64", "BYTES", datatype="BYTES"),
    matrix("wider datatype", "X.datatype: expected FP32", "FP64", datatype="FP64"),
    age("wrong rank", "age.shape: expected [-1, 1], found [1, 1, 1]", shape=[1, 1, 1]),
    age("no rank", "age.shape: expected [-1, 1], found []", shape=[]),
    matrix("wrong width", "X.shape: expected [-1, 3], found [1, 4]", shape=[1, 4]),
    age("negative dimension", "age.shape: expected [-1, 1], found [-1, 1]", shape=[-1, 1]),
    age("fraction for a dimension", "shape[0]: expected `int`, found `float`", shape=[1.5, 1]),
    age("string for a dimension", "shape[0]: expected `int`, found `str`", shape=["1", 1]),
    age("bool for a dimension", "shape[0]: expected `int`, found `bool`", shape=[True, 1]),
    age("huge dimension", "age.data: expected 1000000000 elements", "found 1", shape=[10**9, 1]),
    age("overflowing dimension", "age.shape: expected fewer elements", shape=[2**64, 1]),
    age("dimension of 50 digits", "age.shape: expected fewer elements", shape=[10**50, 1]),
    age("10,000 dimensions", "age.shape: expected [-1, 1]", "…", shape=[1] * 10_000),
    bad("no rows", request([tensor(n, [], shape=[0, 1]) for n in NAMES]), ROWS, "found 0 rows"),
    bad("too many rows", request([tensor(n, [0] * 101, shape=[101, 1]) for n in NAMES]), ROWS),
    age("more rows than others", "inputs: expected as many rows", data=[1, 2], shape=[2, 1]),
    age("too few elements", "age.data: expected 1 elements for the shape [1, 1], found 0", data=[]),
    age("too many elements", "age.data: expected 1 elements", "found 2", data=[1, 2]),
    matrix(
        "ragged nesting", "X.data[1]: expected a list of 3, found a list", data=[[1, 2, 3], [4]]
    ),
    matrix("half nested", "X.data[1]: expected a list, found the number 4", data=[[1, 2, 3], 4]),
    age("nested too deep for the shape", "age.data[0][0]: expected a finite number", data=[[[1]]]),
    age("object for data", "age.data: expected a list of elements, found an object", data={}),
    age("number for data", "age.data: expected a list of elements, found the number", data=1.5),
    age("null for data", "age.data: expected a list of elements, found null", data=None),
    age("string for a number", f'{AGE}, found the string "1"', data=["1"]),
    age("bool for a number", f"{AGE}, found true", data=[True]),
    age("null for a number", f"{AGE}, found null", data=[None]),
    bad("1e999", request(WHOLE).replace(b"1.5", b"1e999"), f"{AGE}, found a number that is too"),
    bad("5,000 digits", request(WHOLE).replace(b"1.5", b"9" * 5000), f"{AGE}, found a number that"),
    matrix("too large for FP32", "X.data[1]: expected a number that FP32", data=[1, -1e39, 3] * 2),
    bad(
        "number for a string",
        request([tensor("city", [5], "BYTES"), tensor("age", [1]), tensor("income", [1])]),
        "city.data[0]: expected a string or null, found the number 5",
        model="people",
    ),
    bad("null for outputs", request(WHOLE, outputs=None), "outputs: expected `array`"),
    wants("unknown output", [{"name": "x"}], "outputs[0].name: expected one of score, label"),
    wants("output without name", [{}], "outputs[0]: expected the required field `name`"),
    wants("5,000 unknown outputs", [{"name": "x"}] * 5_000, "outputs[19].name"),
    wants(
        "classification",
        [{"name": "score", "parameters": {"classification": 2}}],
        "outputs[0]",
        "'classification' is not supported",
    ),
    wants(
        "word for binary_data",
        [{"name": "score", "parameters": {"binary_data": "yes"}}],
        'outputs[0].parameters.binary_data: expected true or false, found the string "yes"',
    ),
    bad(
        "number for binary_data_output",
        request(WHOLE, parameters={"binary_data_output": 1}),
        "parameters.binary_data_output: expected true or false, found the number 1",
    ),
    bad(
        "shared memory",
        request([tensor("age", ..., parameters={"shared_memory_region": "r"}), *OTHERS]),
        "age: shared memory is not supported",
    ),
    bad(
        "size without bytes",
        request([tensor("age", ..., parameters={"binary_data_size": 8}), *OTHERS]),
        "inputs[0].parameters.binary_data_size: expected at most the 0 bytes",
    ),
]


def element(wrong: str, name: str, value: Any, *says: str) -> Case:
    """The model of many kinds, one of its tensors holding what its datatype cannot."""
    good = {"small": 200, "whole": -5, "big": 2**64 - 1, "flag": True, "half": 0.5}
    kinds = {"small": "UINT8", "whole": "INT64", "big": "UINT64", "flag": "BOOL", "half": "FP16"}
    inputs = [tensor(one, [(good | {name: value})[one]], kinds[one]) for one in good]
    return bad(wrong, request(inputs), f"{name}.data[0]: expected", *says, model="kinds")


ELEMENTS = [
    element("256 for UINT8", "small", 256, "a whole number from 0 to 255, found the number 256"),
    element("-1 for UINT8", "small", -1, "a whole number from 0 to 255, found the number -1"),
    element("1.5 for UINT8", "small", 1.5, "a whole number from 0 to 255, found the number 1.5"),
    element("2^63 for INT64", "whole", 2**63, "to 9223372036854775807, found the number 92233"),
    element("50 digits for INT64", "whole", 10**50, "a whole number from -92233"),
    element("2^64 for UINT64", "big", 2**64, "found the number 18446744073709551616"),
    element("-1 for UINT64", "big", -1, "a whole number from 0 to", "found the number -1"),
    element("1 for BOOL", "flag", 1, "true or false, found the number 1"),
    element("null for BOOL", "flag", None, "true or false, found null"),
    element("70000 for FP16", "half", 70000, "a number that FP16 can hold, found 70000"),
]


def sized(size: Any, **changes: Any) -> list[dict[str, Any]]:
    """The classifier's inputs, the first as ``size`` bytes."""
    return [tensor("age", ..., parameters={"binary_data_size": size}, **changes), *OTHERS]


def binary(
    wrong: str, inputs: Any, tail: bytes, *says: str, model: str = "churn", length: str = ""
) -> Case:
    head = request(inputs)
    headers = {"inference-header-content-length": length or str(len(head))}
    return Case(wrong, head + tail, says, 400, f"/v2/models/{model}/infer", headers, model)


def length(wrong: str, value: str, *says: str) -> Case:
    return binary(wrong, sized(8), ONE, *says, length=value)


def city(wrong: str, tail: bytes, *says: str) -> Case:
    """The pipeline's request, its string as these bytes."""
    inputs = [
        tensor("city", ..., "BYTES", parameters={"binary_data_size": len(tail)}),
        *(tensor("age", [0.5]), tensor("income", [1.0])),
    ]
    return binary(wrong, inputs, tail, "city.data: expected one length", *says, model="people")


def text(value: bytes, claimed: int | None = None) -> bytes:
    return struct.pack("<I", len(value) if claimed is None else claimed) + value


HEADER = "Inference-Header-Content-Length"
SIZE = "inputs[0].parameters.binary_data_size: expected"
FLOATS = struct.pack("<3f", 1, float("-inf"), 3)

BINARY = [
    length("length in words", "ten", HEADER, "'ten'"),
    length("length negative", "-1", HEADER, "'-1'"),
    length("length of 30 digits", "9" * 30, HEADER),
    length("length in hexadecimal", "0x10", HEADER, "'0x10'"),
    length("length beyond the body", "9999", HEADER, "at most the body's", "found 9999"),
    length("length too short", "20", "JSON", "position"),
    length("length too long", str(len(request(sized(8))) + 8), "JSON"),
    length("length zero", "0", "JSON", "an empty body"),
    binary("no JSON before the bytes", [], ONE, "JSON", length="10"),
    binary("size too small", sized(4), ONE, "expected 4 bytes of binary tensors", "found 8"),
    binary("size too large", sized(16), ONE, f"{SIZE} at most the 8 bytes", "found 16"),
    binary("size negative", sized(-8), ONE, f"{SIZE} a number of bytes, found the number -8"),
    binary("size true", sized(size=True), ONE, f"{SIZE} a number of bytes, found true"),
    binary("size a string", sized("8"), ONE, f'{SIZE} a number of bytes, found the string "8"'),
    binary("size a fraction", sized(8.5), ONE, f"{SIZE} a number of bytes, found the number 8.5"),
    binary("size of 40 digits", sized(10**40), ONE, "inputs[0].parameters.binary_data_size"),
    binary("size that does not fill the shape", sized(16), TWO, "age.binary_data_size: expected 8"),
    binary("no bytes", sized(0), b"", "age.binary_data_size: expected 8 bytes", "found 0"),
    binary("bytes that nobody announced", WHOLE, ONE, "expected 0 bytes", "found 8"),
    binary("data and bytes", [sized(8)[0] | {"data": [1]}, *OTHERS], ONE, "age: exp", "found both"),
    binary("huge shape", sized(8, shape=[10**9, 1]), ONE, "age.binary_data_size: expected 8000000"),
    binary("overflowing shape", sized(8, shape=[2**61 + 1, 1]), ONE, "age.shape"),
    binary("NaN", sized(8), struct.pack("<d", float("nan")), "age[0][0]: expected a finite number"),
    binary("inf", sized(8), struct.pack("<d", float("inf")), "age[0][0]: expected a finite number"),
    binary(
        "-inf in FP32",
        [tensor("X", ..., "FP32", shape=[1, 3], parameters={"binary_data_size": 12})],
        FLOATS,
        "X[0][1]: expected a finite number, found -inf",
        model="scores",
    ),
    city("text shorter than its length", text(b"Oslo", 5), "an element of 5 bytes with 4 left"),
    city("text with a length of 4 GB", text(b"Oslo", 2**32 - 1), "4294967295 bytes with 4 left"),
    city("text longer than its length", text(b"Oslo", 3), "1 bytes where a length was due"),
    city("half a length", b"\0\0", "2 bytes where a length was due"),
    city("text not UTF-8", text(b"\xff"), "not UTF-8"),
    city("surrogate in UTF-8", text(b"\xed\xa0\x80"), "not UTF-8"),
    city("two texts for one", text(b"A") * 2, "found 2 elements"),
    city("no text", b"", "found 0 elements"),
]

ENVELOPES = [
    Case("form", request(WHOLE), ("application/json",), 415, INFER, {"content-type": "a/b"}),
    Case("too large", bytes(MAX_BODY + 1), (f"at most {MAX_BODY} bytes",), 413, INFER),
    Case("unknown coding", b"", ("'br'",), 415, INFER, {"content-encoding": "br"}),
]


@pytest.fixture(scope="module")
def servers(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    names = ("churn", "people", "scores", "kinds")
    return Servers(serve_module, tmp_path_factory.mktemp("models"), names)


@table(JSON)
def test_bad_tensors_in_json_are_told_what_is_wrong(servers: Servers, case: Case) -> None:
    check(servers, case)


@table(ELEMENTS)
def test_an_element_out_of_its_datatypes_range_is_named(servers: Servers, case: Case) -> None:
    check(servers, case)


@table(BINARY)
def test_bad_binary_tensors_are_told_what_is_wrong(servers: Servers, case: Case) -> None:
    check(servers, case)


@table(ENVELOPES)
def test_a_body_that_is_not_read_is_told_why(servers: Servers, case: Case) -> None:
    check(servers, case)


def test_every_problem_of_a_request_is_named(servers: Servers) -> None:
    inputs = [tensor("age", ["x"]), tensor("balance", [1, 2]), tensor("radius", [1])]
    said = servers["churn"].post(INFER, content=request(inputs)).json()["error"]
    for words in ("age.data[0]", "balance.data", "inputs[2].name", "inputs.mean radius"):
        assert words in said


def test_nothing_of_this_was_the_servers_own_fault(servers: Servers) -> None:
    """Last of the table's servers: no error in the log, and no answer of 500 in the counts."""
    for model in ("churn", "people", "scores", "kinds"):
        assert '"level":"error"' not in servers[model].log
        assert 'code="5' not in servers[model].get("/metrics").text


def test_data_may_be_spread_over_many_lines(servers: Servers) -> None:
    """A pretty printer's spaces between two brackets do not hide that the data is nested."""
    body = request([X]).replace(b"[[", b"[" + b" \n" * 500 + b"[")
    response = servers["scores"].post("/v2/models/scores/infer", content=body)
    assert response.status_code == 200, response.text


SERVICE = """
import numpy as np
from numpy.typing import NDArray

from boxship import Service


class Doubled(Service):
    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        rows *= 2
        return rows
"""


@pytest.mark.parametrize("padding", range(8))
def test_a_service_may_write_to_the_bytes_it_was_sent(serve_doubled: Any, padding: int) -> None:
    """Wherever in the body they begin, aligned or not."""
    entry = tensor("input", ..., shape=[1, 2], parameters={"binary_data_size": 16})
    head = request([entry], id="x" * padding)
    headers = {"inference-header-content-length": str(len(head))}
    path = "/v2/models/doubled/infer"
    response = serve_doubled.post(path, content=head + TWO, headers=headers)
    assert response.json()["outputs"][0]["data"] == [3.0, 5.0]


@pytest.fixture(scope="module")
def serve_doubled(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("doubled")
    (folder / "doubled.py").write_text(SERVICE, encoding="utf-8")
    return serve_module("doubled:Doubled", "--workers", "1", "--drain-delay", "0", cwd=folder)
