"""What is wrong with a request is said, with a 4xx, and harms nobody else.

Each case goes to a real server: its answer names the place, what was expected and what was
found, and the same server then answers a good request right.
"""

import gzip
import json
import socket
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any

import pytest
from conftest import Serve
from support import models
from support.serving import Server

MAX_BODY = 1_000_000
MAX_ROWS = 100
GOOD = {"age": 1.5, "balance": -2.0, "mean radius": 0.25}
PERSON = {"city": "Oslo", "age": 0.5, "income": None}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Case:
    """One bad request: what is wrong with it, and what its answer is to be and to say."""

    wrong: str
    body: bytes
    says: tuple[str, ...]
    status: int = 422
    path: str = "/predict"
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = "churn"
    method: str = "POST"


def row(model: str = "churn", **changes: Any) -> bytes:
    """A good row, changed; ``...`` leaves a field out."""
    changed = {"churn": GOOD, "people": PERSON}[model] | changes
    return json.dumps({name: value for name, value in changed.items() if value is not ...}).encode()


def tensor(name: str, data: Any, datatype: str = "FP64", **more: Any) -> dict[str, Any]:
    """A V2 tensor of one element; ``...`` leaves a key out."""
    entry = {"name": name, "shape": [1, 1], "datatype": datatype, "data": data} | more
    return {key: value for key, value in entry.items() if value is not ...}


def infer(**changes: Any) -> bytes:
    """A good V2 request to the classifier, its first tensor changed."""
    age = tensor("age", [1.5]) | changes
    age = {key: value for key, value in age.items() if value is not ...}
    return request([age, *OTHERS])


OTHERS = [tensor("balance", [-2.0]), tensor("mean radius", [0.25])]


def request(inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": inputs} | more).encode()


def v2(wrong: str, body: bytes, *says: str, model: str = "churn", status: int = 400) -> Case:
    return Case(wrong, body, says, status, f"/v2/models/{model}/infer", {}, model)


def binary(
    wrong: str, inputs: Any, tail: bytes, *says: str, model: str = "churn", length: str = ""
) -> Case:
    head = request(inputs)
    headers = {"inference-header-content-length": length or str(len(head))}
    return Case(wrong, head + tail, says, 400, f"/v2/models/{model}/infer", headers, model)


def raw_age(size: Any, **more: Any) -> list[dict[str, Any]]:
    """The classifier's inputs, the first as binary of ``size`` bytes."""
    return [tensor("age", ..., parameters={"binary_data_size": size}, **more), *OTHERS]


def raw_city(size: int) -> list[dict[str, Any]]:
    city = tensor("city", ..., "BYTES", parameters={"binary_data_size": size})
    return [city, tensor("age", [0.5]), tensor("income", [1.0])]


def raw_x(values: bytes) -> list[dict[str, Any]]:
    size = {"binary_data_size": len(values)}
    return [tensor("X", ..., "FP32", shape=[1, 3], parameters=size)]


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<I", len(value) if length is None else length) + value


FP64 = struct.pack("<d", 1.5)
X = [tensor("X", [1.0, 2.0, 3.0], "FP32", shape=[1, 3])]
DEEP = b"[" * 100_000
MANY = json.dumps([GOOD] * (MAX_ROWS + 1)).encode()
WIDE = json.dumps(dict.fromkeys(map(str, range(50_000)), 0)).encode()
BOMB = gzip.compress(bytes(100 * MAX_BODY))

PREDICT = [
    Case("empty body", b"", ("JSON", "an empty body"), 400),
    Case("only spaces", b" \r\n\t", ("JSON", "an empty body"), 400),
    Case("no JSON", b"age=1", ("JSON", "position 0"), 400),
    Case("truncated object", row()[:-10], ("JSON", "position"), 400),
    Case("truncated list", b"[" + row(), ("JSON", "position"), 400),
    Case("truncated string", b'{"age', ("JSON", "position"), 400),
    Case("bytes after the end", row() + b"x", ("JSON", "position"), 400),
    Case("two objects", row() + row(), ("JSON", "position"), 400),
    Case("trailing comma", b'{"age":1,}', ("JSON", "position"), 400),
    Case("single quotes", b"{'age':1}", ("JSON", "position 1"), 400),
    Case("comment", b"/* */" + row(), ("JSON", "position 0"), 400),
    Case("leading zero", row().replace(b"1.5", b"01.5"), ("JSON", "position"), 400),
    Case("NaN", row(age=float("nan")), ("JSON", "NaN"), 400),
    Case("Infinity", row(age=float("inf")), ("JSON", "Infinity"), 400),
    Case("-Infinity", row(age=-float("inf")), ("JSON", "-Infinity"), 400),
    Case(
        "control character in a string",
        row("people", city="A").replace(b"A", b"\0"),
        ("JSON",),
        400,
        model="people",
    ),
    Case(
        "lone surrogate", row("people", city="\ud800"), ("surrogate", "ud800"), 400, model="people"
    ),
    Case("lone surrogate as a name", row(**{"\udfff": 1}), ("surrogate", "udfff"), 400),
    Case("invalid UTF-8", b'{"age":"\xff"}', ("UTF-8", "0xff", "position 8"), 400),
    Case("surrogate in UTF-8", b'{"age":"\xed\xa0\x80"}', ("UTF-8", "0xed"), 400),
    Case("UTF-16", row().decode().encode("utf-16"), ("UTF-8", "position 0"), 400),
    Case("UTF-16 without mark", row().decode().encode("utf-16-le"), ("JSON", "position 1"), 400),
    Case("byte order mark", b"\xef\xbb\xbf" + row(), ("JSON", "BOM"), 400),
    Case("too deep list", DEEP, ("nested too deep",), 400),
    Case("too deep object", b'{"a":' * 100_000, ("nested too deep",), 400),
    Case("too deep field", b'{"age":' + DEEP, ("nested too deep",), 400),
    Case("null for a row", b"null", ("an object with one field per column", "found null")),
    Case("number for a row", b"5", ("an object with one field per column", "the number 5")),
    Case("string for a row", b'"age"', ("an object with one field per column", 'the string "age"')),
    Case("true for a row", b"true", ("an object with one field per column", "found true")),
    Case("list for a row", b"[[1,2,3]]", ("[0]: expected an object", "a list of 3")),
    Case("null among rows", b"[" + row() + b",null]", ("[1]: expected an object", "found null")),
    Case("no rows", b"[]", (f"a list of 1 to {MAX_ROWS} rows", "found 0 rows")),
    Case("too many rows", MANY, (f"a list of 1 to {MAX_ROWS} rows", f"found {MAX_ROWS + 1} rows")),
    Case(
        "no fields", b"{}", ("age: expected a finite number", "balance:", "mean radius:", "nothing")
    ),
    Case("missing field", row(balance=...), ("balance: expected a finite number, found nothing",)),
    Case(
        "missing field in the second row",
        b"[" + row() + b"," + row(age=...) + b"]",
        ("[1].age: expected",),
    ),
    Case("unknown field", row(height=3), ("height: expected no such field, found the number 3",)),
    Case(
        "misspelt field",
        row(balance=..., balnce=1),
        ("balnce", "did you mean 'balance'?", "balance: expected"),
    ),
    Case(
        "field in capitals",
        row(age=..., Age=1),
        ("Age: expected no such field (did you mean 'age'?)",),
    ),
    Case(
        "unknown field of 500,000 letters",
        row(**{"x" * 500_000: 1}),
        ("xxx…: expected no such field",),
    ),
    Case("50,000 unknown fields", WIDE, ("expected no such field",)),
    Case(
        "null where nothing may be missing",
        row(age=None),
        ("age: expected a finite number, found null",),
    ),
    Case(
        "string for a number", row(age="1.5"), ("age: expected a finite number", 'the string "1.5"')
    ),
    Case("bool for a number", row(age=True), ("age: expected a finite number, found true",)),
    Case(
        "object for a number",
        row(age={"value": 1}),
        ("age: expected a finite number, found an object",),
    ),
    Case("list for a number", row(age=[1]), ("age: expected a finite number, found a list of 1",)),
    Case("1e999", row().replace(b"1.5", b"1e999"), ("age: expected a finite number", "too large")),
    Case("400 digits", row(age=10**400), ("age: expected a finite number", "too large")),
    Case(
        "5,000 digits",
        row().replace(b"1.5", b"9" * 5000),
        ("age: expected a finite number", "too large"),
    ),
    Case(
        "number for a string",
        row("people", city=5),
        ("city: expected a string", "the number 5"),
        model="people",
    ),
    Case(
        "bool for a string",
        row("people", city=False),
        ("city: expected a string", "found false"),
        model="people",
    ),
    Case(
        "string where null may stand",
        row("people", income=""),
        ("income: expected a finite number or null", 'the string ""'),
        model="people",
    ),
    Case(
        "too large for FP32",
        b'{"feature_1":1e39,"feature_2":0,"feature_3":0}',
        ("feature_1: expected a number that FP32 can hold, found 1e+39",),
        model="scores",
    ),
    Case(
        "too large for FP32 in the second row",
        b'[{"feature_1":1,"feature_2":0,"feature_3":0},{"feature_1":1,"feature_2":0,"feature_3":-1e300}]',
        ("[1].feature_3", "FP32", "-1e+300"),
        model="scores",
    ),
    Case("rows to a model of tensors", b"{}", ("tensors", "image", "/v2/models/"), model="image"),
    Case(
        "declared too large",
        bytes(MAX_BODY + 1),
        (f"at most {MAX_BODY} bytes", f"found {MAX_BODY + 1}"),
        413,
    ),
    Case(
        "form's content type",
        row(),
        ("application/json", "x-www-form-urlencoded"),
        415,
        headers=FORM,
    ),
    Case(
        "plain text",
        row(),
        ("application/json", "'text/plain'"),
        415,
        headers={"content-type": "text/plain"},
    ),
    Case(
        "unknown content encoding",
        row(),
        ("gzip, deflate or identity", "'br'"),
        415,
        headers={"content-encoding": "br"},
    ),
    Case("no gzip", row(), ("a gzip body",), 400, headers={"content-encoding": "gzip"}),
    Case(
        "broken gzip",
        gzip.compress(row())[:-12],
        ("gzip", "cut off"),
        400,
        headers={"content-encoding": "gzip"},
    ),
    Case(
        "gzip with a wrong checksum",
        gzip.compress(row())[:-8] + bytes(8),
        ("gzip",),
        400,
        headers={"content-encoding": "gzip"},
    ),
    Case(
        "gzip with more behind it",
        gzip.compress(row()) * 2,
        ("one gzip stream",),
        400,
        headers={"content-encoding": "gzip"},
    ),
    Case(
        "gzip bomb",
        BOMB,
        (f"at most {MAX_BODY} bytes", "decompressed"),
        413,
        headers={"content-encoding": "gzip"},
    ),
    Case(
        "broken deflate",
        zlib.compress(row())[:-5],
        ("deflate", "cut off"),
        400,
        headers={"content-encoding": "deflate"},
    ),
]

V2 = [
    v2("V2: empty body", b"", "JSON", "an empty body"),
    v2("V2: no JSON", b"inputs", "JSON", "position 0"),
    v2("V2: truncated", infer()[:-9], "JSON", "position"),
    v2("V2: NaN", infer(data=[float("nan")]), "JSON", "NaN"),
    v2("V2: too deep", b'{"inputs":' + DEEP, "nested too deep"),
    v2("V2: too deep data", infer(data="DEEP").replace(b'"DEEP"', DEEP), "nested too deep"),
    v2("V2: invalid UTF-8", b'{"id":"\xff","inputs":[]}', "UTF-8", "0xff"),
    v2("V2: lone surrogate", request([], id="\ud800"), "surrogate", "ud800"),
    v2("V2: a row", row(), "inputs", "expected the required field"),
    v2("V2: a list", b"[]", "body: expected `object`, found `array`"),
    v2("V2: no inputs", request([]), "inputs.age: expected a FP64 tensor, found nothing"),
    v2("V2: null for inputs", request(None), "inputs: expected `array`, found `null`"),
    v2("V2: object for inputs", request({}), "inputs: expected `array`, found `object`"),
    v2("V2: null for an input", request([None]), "inputs[0]: expected `object`, found `null`"),
    v2("V2: number for an id", request([], id=5), "id: expected `str`, found `int`"),
    v2("V2: list for parameters", request([], parameters=[]), "parameters: expected `object`"),
    v2("V2: input without name", infer(name=...), "inputs[0]: expected the required field `name`"),
    v2(
        "V2: input without shape",
        infer(shape=...),
        "inputs[0]: expected the required field `shape`",
    ),
    v2(
        "V2: input without datatype",
        infer(datatype=...),
        "inputs[0]: expected the required field `datatype`",
    ),
    v2("V2: input without data", infer(data=...), "age.data: expected a list", "nothing"),
    v2("V2: missing input", request(OTHERS), "inputs.age: expected a FP64 tensor, found nothing"),
    v2(
        "V2: unknown input",
        request([tensor("ages", [1]), *OTHERS]),
        "inputs[0].name: expected one of age, balance",
        "ages",
    ),
    v2(
        "V2: the same input twice",
        request([*OTHERS, OTHERS[0], tensor("age", [1])]),
        "inputs[2].name: expected each name once",
    ),
    v2("V2: 5,000 unknown inputs", request([tensor("x", [1])] * 5_000), "inputs[19].name"),
    v2(
        "V2: unknown datatype",
        infer(datatype="FLOAT"),
        'age.datatype: expected FP64, found the string "FLOAT"',
    ),
    v2(
        "V2: datatype that does not fit",
        infer(datatype="BYTES"),
        "age.datatype: expected FP64",
        "BYTES",
    ),
    v2(
        "V2: wider datatype",
        request([X[0] | {"datatype": "FP64"}]),
        "X.datatype: expected FP32",
        "FP64",
        model="scores",
    ),
    v2("V2: wrong rank", infer(shape=[1, 1, 1]), "age.shape: expected [-1, 1], found [1, 1, 1]"),
    v2("V2: no rank", infer(shape=[]), "age.shape: expected [-1, 1], found []"),
    v2(
        "V2: wrong width",
        request([X[0] | {"shape": [1, 4]}]),
        "X.shape: expected [-1, 3], found [1, 4]",
        model="scores",
    ),
    v2(
        "V2: negative dimension", infer(shape=[-1, 1]), "age.shape: expected [-1, 1], found [-1, 1]"
    ),
    v2(
        "V2: fraction as a dimension",
        infer(shape=[1.5, 1]),
        "inputs[0].shape[0]: expected `int`, found `float`",
    ),
    v2("V2: string as a dimension", infer(shape=["1", 1]), "shape[0]: expected `int`, found `str`"),
    v2("V2: bool as a dimension", infer(shape=[True, 1]), "shape[0]: expected `int`, found `bool`"),
    v2(
        "V2: huge dimension",
        infer(shape=[10**9, 1]),
        "age.data: expected 1000000000 elements",
        "found 1",
    ),
    v2("V2: overflowing dimension", infer(shape=[2**64, 1]), "age.shape: expected fewer elements"),
    v2(
        "V2: dimension of 50 digits", infer(shape=[10**50, 1]), "age.shape: expected fewer elements"
    ),
    v2("V2: 10,000 dimensions", infer(shape=[1] * 10_000), "age.shape: expected [-1, 1]", "…"),
    v2(
        "V2: no rows",
        request([tensor(n, [], shape=[0, 1]) for n in GOOD]),
        f"a list of 1 to {MAX_ROWS} rows",
        "found 0 rows",
    ),
    v2(
        "V2: too many rows",
        request([tensor(n, [0] * 101, shape=[101, 1]) for n in GOOD]),
        f"1 to {MAX_ROWS} rows",
        "found 101 rows",
    ),
    v2(
        "V2: as many rows as others",
        infer(data=[1, 2], shape=[2, 1]),
        "inputs: expected as many rows",
        "age 2",
    ),
    v2("V2: too few elements", infer(data=[]), "age.data: expected 1 elements", "found 0"),
    v2("V2: too many elements", infer(data=[1, 2]), "age.data: expected 1 elements", "found 2"),
    v2(
        "V2: ragged nesting",
        request([X[0] | {"data": [[1, 2, 3], [4, 5]], "shape": [2, 3]}]),
        "X.data[1]: expected a list of 3, found a list of 2",
        model="scores",
    ),
    v2(
        "V2: nested too deep for the shape",
        infer(data=[[[1]]]),
        "age.data[0][0]: expected a finite number",
        "a list of 1",
    ),
    v2(
        "V2: half nested",
        request([X[0] | {"data": [[1, 2, 3], 4], "shape": [2, 3]}]),
        "X.data[1]: expected a list, found the number 4",
        model="scores",
    ),
    v2(
        "V2: object for data",
        infer(data={}),
        "age.data: expected a list of elements, found an object",
    ),
    v2(
        "V2: number for data",
        infer(data=1.5),
        "age.data: expected a list of elements, found the number 1.5",
    ),
    v2("V2: null for data", infer(data=None), "age.data: expected a list of elements, found null"),
    v2(
        "V2: string for a number",
        infer(data=["1"]),
        "age.data[0]: expected a finite number",
        'the string "1"',
    ),
    v2(
        "V2: bool for a number",
        infer(data=[True]),
        "age.data[0]: expected a finite number, found true",
    ),
    v2(
        "V2: null for a number",
        infer(data=[None]),
        "age.data[0]: expected a finite number, found null",
    ),
    v2(
        "V2: 1e999",
        infer(data=["@"]).replace(b'"@"', b"1e999"),
        "age.data[0]: expected a finite number",
        "too large",
    ),
    v2(
        "V2: 5,000 digits",
        infer(data=["@"]).replace(b'"@"', b"9" * 5000),
        "age.data[0]",
        "too large",
    ),
    v2(
        "V2: too large for FP32",
        request([X[0] | {"data": [1, -1e39, 3]}]),
        "X.data[1]: expected a number that FP32 can hold, found -1e+39",
        model="scores",
    ),
    v2(
        "V2: number for a string",
        request([tensor("city", [5], "BYTES"), tensor("age", [1]), tensor("income", [1])]),
        "city.data[0]: expected a string",
        "the number 5",
        model="people",
    ),
    v2(
        "V2: unknown output",
        request([tensor("age", [1]), *OTHERS], outputs=[{"name": "scores"}]),
        "outputs[0].name: expected one of score, label",
        "scores",
    ),
    v2(
        "V2: output without name",
        request([], outputs=[{}]),
        "outputs[0]: expected the required field `name`",
    ),
    v2(
        "V2: classification",
        request(
            [tensor("age", [1]), *OTHERS],
            outputs=[{"name": "score", "parameters": {"classification": 2}}],
        ),
        "outputs[0]",
        "classification",
    ),
    v2(
        "V2: word for binary_data",
        request(
            [tensor("age", [1]), *OTHERS],
            outputs=[{"name": "score", "parameters": {"binary_data": "yes"}}],
        ),
        "outputs[0].parameters.binary_data: expected true or false",
        '"yes"',
    ),
    v2(
        "V2: number for binary_data_output",
        request([tensor("age", [1]), *OTHERS], parameters={"binary_data_output": 1}),
        "parameters.binary_data_output: expected true or false, found the number 1",
    ),
    v2(
        "V2: shared memory",
        infer(data=..., parameters={"shared_memory_region": "r"}),
        "age",
        "shared memory",
    ),
    Case(
        "V2: form's content type",
        infer(),
        ("application/json",),
        415,
        "/v2/models/churn/infer",
        FORM,
    ),
    Case(
        "V2: declared too large",
        bytes(MAX_BODY + 1),
        (f"at most {MAX_BODY} bytes",),
        413,
        "/v2/models/churn/infer",
    ),
]

BINARY = [
    binary(
        "binary: length of words",
        raw_age(8),
        FP64,
        "Inference-Header-Content-Length",
        "'ten'",
        length="ten",
    ),
    binary(
        "binary: length negative",
        raw_age(8),
        FP64,
        "Inference-Header-Content-Length",
        "'-1'",
        length="-1",
    ),
    binary(
        "binary: length beyond the body",
        raw_age(8),
        FP64,
        "at most the body's",
        "found 9999",
        length="9999",
    ),
    binary(
        "binary: length of 30 digits",
        raw_age(8),
        FP64,
        "Inference-Header-Content-Length",
        length="9" * 30,
    ),
    binary("binary: length too short", raw_age(8), FP64, "JSON", "position", length="20"),
    binary(
        "binary: length too long",
        raw_age(8),
        FP64,
        "JSON",
        length=str(len(request(raw_age(8))) + 8),
    ),
    binary("binary: length zero", raw_age(8), FP64, "JSON", "an empty body", length="0"),
    binary("binary: no JSON before the bytes", [], FP64, "JSON", length="10"),
    binary(
        "binary: size too small", raw_age(4), FP64, "expected 4 bytes of binary tensors", "found 8"
    ),
    binary(
        "binary: size too large",
        raw_age(16),
        FP64,
        "inputs[0].parameters.binary_data_size",
        "8 bytes",
        "found 16",
    ),
    binary("binary: size negative", raw_age(-8), FP64, "binary_data_size", "found the number -8"),
    binary("binary: size true", raw_age(True), FP64, "binary_data_size", "found true"),
    binary("binary: size a string", raw_age("8"), FP64, "binary_data_size", 'the string "8"'),
    binary("binary: size a fraction", raw_age(8.5), FP64, "binary_data_size", "8.5"),
    binary("binary: size of 40 digits", raw_age(10**40), FP64, "binary_data_size"),
    binary(
        "binary: size that the shape does not need",
        raw_age(16),
        FP64 * 2,
        "age.binary_data_size: expected 8 bytes",
        "found 16",
    ),
    binary(
        "binary: no bytes", raw_age(0), b"", "age.binary_data_size: expected 8 bytes", "found 0"
    ),
    binary(
        "binary: bytes that nobody announced",
        [tensor("age", [1]), *OTHERS],
        FP64,
        "expected 0 bytes",
        "found 8",
    ),
    binary(
        "binary: data and size",
        [raw_age(8)[0] | {"data": [1.5]}, *OTHERS],
        FP64,
        "age",
        "found both",
    ),
    binary(
        "binary: huge shape",
        raw_age(8, shape=[10**9, 1]),
        FP64,
        "age.binary_data_size: expected 8000000000 bytes",
        "found 8",
    ),
    binary("binary: overflowing shape", raw_age(8, shape=[2**61 + 1, 1]), FP64, "age.shape"),
    binary(
        "binary: NaN",
        raw_age(8),
        struct.pack("<d", float("nan")),
        "age[0][0]: expected a finite number, found nan",
    ),
    binary(
        "binary: inf",
        raw_age(8),
        struct.pack("<d", float("inf")),
        "age[0][0]: expected a finite number, found inf",
    ),
    binary(
        "binary: -inf in FP32",
        raw_x(struct.pack("<3f", 1, float("-inf"), 3)),
        struct.pack("<3f", 1, float("-inf"), 3),
        "X[0][1]: expected a finite number",
        "-inf",
        model="scores",
    ),
    binary(
        "binary: text shorter than its length",
        raw_city(8),
        text(b"Oslo", 5),
        "city.data",
        "an element of 5 bytes with 4 left",
        model="people",
    ),
    binary(
        "binary: text with a length of 4 GB",
        raw_city(8),
        text(b"Oslo", 2**32 - 1),
        "city.data",
        "4294967295 bytes",
        model="people",
    ),
    binary(
        "binary: text longer than its length",
        raw_city(8),
        text(b"Oslo", 3),
        "city.data",
        "where a length was due",
        model="people",
    ),
    binary(
        "binary: half a length",
        raw_city(2),
        b"\0\0",
        "city.data",
        "2 bytes where a length was due",
        model="people",
    ),
    binary(
        "binary: text not UTF-8",
        raw_city(5),
        text(b"\xff"),
        "city.data",
        "not UTF-8",
        model="people",
    ),
    binary(
        "binary: two texts for one",
        raw_city(10),
        text(b"A") * 2,
        "city.data",
        "found 2 elements",
        model="people",
    ),
    binary("binary: no text", raw_city(0), b"", "city.data", "found 0 elements", model="people"),
]

ROUTES = [
    *(("/health", "GET"), ("/ready", "GET"), ("/metrics", "GET"), ("/openapi.json", "GET")),
    *(("/docs", "GET"), ("/v2", "GET"), ("/v2/health/live", "GET"), ("/v2/health/ready", "GET")),
    *(("/v2/models/churn", "GET"), ("/v2/models/churn/ready", "GET")),
    *(("/v2/models/churn/versions/7", "GET"), ("/v2/models/churn/versions/7/ready", "GET")),
    *(("/predict", "POST"), ("/v2/models/churn/infer", "POST")),
    ("/v2/models/churn/versions/7/infer", "POST"),
]

METHODS = [
    Case(f"{method} {path}", b"", (allowed, path, method), 405, path, {}, "churn", method)
    for path, allowed in ROUTES
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    if method != allowed
]

UNKNOWN = [
    Case("unknown path", row(), ("no such path /nope", "/predict"), 404, "/nope"),
    Case("path of 10,000 letters", row(), ("no such path", "…"), 404, "/" + "x" * 10_000),
    Case("path that is no text", row(), ("no such path",), 404, "/%ff%00%0a"),
    Case("slash at the end", row(), ("no such path /predict/",), 404, "/predict/"),
    Case("unknown path under V2", infer(), ("no such path /v2/nope",), 404, "/v2/nope"),
    Case("unknown model", infer(), ("the model churn", "nope"), 404, "/v2/models/nope/infer"),
    Case(
        "unknown model's metadata",
        b"",
        ("the model churn", "nope"),
        404,
        "/v2/models/nope",
        method="GET",
    ),
    Case(
        "unknown version",
        infer(),
        ("version 7", "versions/8"),
        404,
        "/v2/models/churn/versions/8/infer",
    ),
    Case("model without name", infer(), ("the model churn",), 404, "/v2/models//infer"),
]

CASES = [*PREDICT, *V2, *BINARY, *METHODS, *UNKNOWN]


class Servers:
    """One server for each model, and what it is to answer to a good request."""

    def __init__(self, serve: Serve, folder: Any) -> None:
        limits = ("--max-body-size", str(MAX_BODY), "--max-rows", str(MAX_ROWS), "--workers", "1")
        limits += ("--header-timeout", "1", "--body-timeout", "1", "--model-version", "7")
        churn, people = models.named_classifier(), models.text_pipeline()
        paths = {
            "churn": models.save_pickle(churn, folder),
            "people": models.save_pickle(people, folder),
            "scores": models.save_onnx(churn, folder),
            "image": models.save_identity(folder, [("image", "FP32", [None, 3, 8, 8])], "image"),
        }
        self._running = {
            name: serve(path, "--name", name, *limits, ready=False) for name, path in paths.items()
        }
        self._own = {
            "churn": churn.estimator.predict_proba(models.pd.DataFrame([GOOD]))[0, 1],
            "people": people.estimator.predict_proba(models.pd.DataFrame([PERSON]))[0, 1],
        }
        self._own["scores"] = self._own["churn"]
        for server in self._running.values():
            server.wait_until_ready()

    def __getitem__(self, name: str) -> Server:
        return self._running[name]

    def check(self, name: str) -> None:
        """The server answers a good request right."""
        if name == "image":
            values = [float(number) for number in range(3 * 8 * 8)]
            body = request([tensor("image", values, "FP32", shape=[1, 3, 8, 8])])
            response = self[name].post("/v2/models/image/infer", content=body)
            assert response.json()["outputs"][0]["data"] == values
            return
        row = {
            "people": PERSON,
            "churn": GOOD,
            "scores": dict(zip(SCORES, GOOD.values(), strict=True)),
        }
        response = self[name].post("/predict", json=row[name])
        assert response.json()["score"] == pytest.approx(self._own[name], abs=1e-6)


SCORES = ("feature_1", "feature_2", "feature_3")


@pytest.fixture(scope="module")
def servers(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    yield Servers(serve_module, tmp_path_factory.mktemp("models"))


def message(path: str, body: Any) -> str:
    """The text of an error, which has the right shape for its path."""
    if path == "/v2" or path.startswith("/v2/"):
        assert set(body) == {"error"}
        return str(body["error"])
    assert set(body) == {"detail"}
    if isinstance(body["detail"], str):
        return str(body["detail"])
    for entry in body["detail"]:
        assert set(entry) == {"loc", "msg", "type"}
        assert entry["loc"][0] == "body"
    return "; ".join(entry["msg"] for entry in body["detail"])


@pytest.mark.parametrize("case", CASES, ids=[case.wrong for case in CASES])
def test_a_bad_request_is_told_what_is_wrong(servers: Servers, case: Case) -> None:
    response = servers[case.model].client.request(
        case.method, case.path, content=case.body, headers=case.headers
    )
    assert (response.status_code, response.text) == (case.status, response.text)
    assert response.headers["content-type"] == "application/json"
    said = message(case.path, response.json())
    assert [words for words in case.says if words not in said] == [], said
    assert len(said) < 4_000, "an answer does not send the request back"
    if case.status == 405:
        assert case.says[0] in response.headers["allow"].split(", ")
    servers.check(case.model)


def test_the_table_is_long_and_its_names_are_its_own() -> None:
    assert len({case.wrong for case in CASES}) == len(CASES) >= 80


@dataclass(frozen=True)
class Raw:
    """Bytes that no HTTP client would send, and the answer: a status and what it says."""

    wrong: str
    sent: tuple[bytes, ...]
    status: int
    says: str
    ends: bool = True


def post(body: bytes = b"", *headers: str, path: str = "/predict", version: str = "1.1") -> bytes:
    """A request as it goes over the wire; a header of the same name replaces Content-Length."""
    lines = [f"POST {path} HTTP/{version}", "Host: here", *headers]
    if not any(h.lower().startswith(("content-length", "transfer-encoding")) for h in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return post(body, "Transfer-Encoding: chunked")


BIG = bytes(20 * MAX_BODY)
UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
HTTP = "expected an HTTP/1.1 request"

RAW = [
    Raw("no HTTP", (b"hello\r\n\r\n",), 400, HTTP),
    Raw("TLS", (bytes.fromhex("16030100c8010000c40303") + bytes(64),), 400, HTTP),
    Raw("HTTP/2", (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), 400, HTTP),
    Raw("unknown method", (b"FETCH /health HTTP/1.1\r\n\r\n",), 400, HTTP),
    Raw("CONNECT", (b"CONNECT here:443 HTTP/1.1\r\nHost: here\r\n\r\n",), 400, HTTP),
    Raw("path not ASCII", (b"GET /\xff HTTP/1.1\r\nHost: here\r\n\r\n",), 400, HTTP),
    Raw("header without colon", (b"GET /health HTTP/1.1\r\nHost\r\n\r\n",), 400, HTTP),
    Raw("space in a header's name", (b"GET /health HTTP/1.1\r\nHo st: a\r\n\r\n",), 400, HTTP),
    Raw("null in a header", (b"GET /health HTTP/1.1\r\nHost: \0\r\n\r\n",), 400, HTTP),
    Raw("Content-Length in words", (post(row(), "Content-Length: ten"),), 400, HTTP),
    Raw("Content-Length negative", (post(row(), "Content-Length: -1"),), 400, HTTP),
    Raw("Content-Length overflowing", (post(row(), f"Content-Length: {10**30}"),), 400, HTTP),
    Raw(
        "Content-Length twice", (post(row(), "Content-Length: 5", "Content-Length: 6"),), 400, HTTP
    ),
    Raw(
        "length and chunks",
        (post(row(), "Content-Length: 5", "Transfer-Encoding: chunked"),),
        400,
        HTTP,
    ),
    Raw("unknown transfer encoding", (post(row(), "Transfer-Encoding: gzip"),), 400, HTTP),
    Raw("chunk size in words", (post(b"xyz\r\n", "Transfer-Encoding: chunked"),), 400, HTTP),
    Raw(
        "chunk longer than its size",
        (post(b"2\r\nabcdef\r\n", "Transfer-Encoding: chunked"),),
        400,
        HTTP,
    ),
    Raw(
        "headers of 70 kB",
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",),
        431,
        "at most 65536 bytes",
    ),
    Raw(
        "headers of 5 MB",
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 5_000_000 + b"\r\n\r\n",),
        431,
        "at most 65536 bytes",
    ),
    Raw(
        "60,000 headers",
        (b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 60_000 + b"\r\n",),
        431,
        "at most 65536 bytes",
    ),
    Raw(
        "path of 5 MB",
        (b"GET /" + b"x" * 5_000_000 + b" HTTP/1.1\r\n\r\n",),
        431,
        "at most 65536 bytes",
    ),
    Raw("slow headers", (b"GET /health HTTP/1.1\r\nHo",), 408, "the whole headers within 1 s"),
    Raw("slow body", (post(row())[:-5],), 408, "the whole body within 1 s"),
    Raw("slow chunks", (post(b"5\r\nab", "Transfer-Encoding: chunked"),), 408, "within 1 s"),
    Raw("20 MB", (post(BIG),), 413, f"at most {MAX_BODY} bytes"),
    Raw("20 MB to V2", (post(BIG, path="/v2/models/churn/infer"),), 413, f"at most {MAX_BODY}"),
    Raw("20 MB in chunks", (chunked(*[bytes(2**20)] * 20),), 413, f"at most {MAX_BODY} bytes"),
    Raw(
        "20 MB of no JSON from a client that closes",
        (post(BIG, "Connection: close", "Content-Type: text/csv"),),
        415,
        "application/json",
    ),
    Raw("20 MB to nowhere in HTTP/1.0", (post(BIG, path="/nope", version="1.0"),), 404, "/nope"),
    Raw(
        "20 MB announced with Expect",
        (post(b"", "Expect: 100-continue", f"Content-Length: {len(BIG)}"),),
        413,
        f"found {len(BIG)}",
    ),
    Raw(
        "neither length nor chunks",
        (b"POST /predict HTTP/1.1\r\nHost: here\r\n\r\n",),
        400,
        "an empty body",
        ends=False,
    ),
    Raw(
        "bad row in chunks",
        (chunked(b'{"age"', b":true}"),),
        422,
        "age: expected a finite number, found true",
        ends=False,
    ),
    Raw("bad row with an upgrade", (post(b"{}", *UPGRADE),), 422, "age: expected", ends=False),
]


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def answer(sock: socket.socket) -> tuple[int, Any]:
    response = HTTPResponse(sock)
    response.begin()
    return response.status, json.loads(response.read(int(response.headers["content-length"])))


@pytest.mark.parametrize("case", RAW, ids=[case.wrong for case in RAW])
def test_what_is_no_good_http_gets_an_answer_too(servers: Servers, case: Raw) -> None:
    server = servers["churn"]
    with connect(server) as sock:
        for part in case.sent:
            sock.sendall(part)
        status, body = answer(sock)
        assert (status, body) == (case.status, body)
        (said,) = body.values()
        assert case.says in (said if isinstance(said, str) else said[0]["msg"])
        if case.ends:
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
    servers.check("churn")


@pytest.mark.parametrize("sent", [b"GET /heal", post(row())[:-3]], ids=["headers", "body"])
def test_a_request_that_its_client_cuts_off_is_told_so(servers: Servers, sent: bytes) -> None:
    with connect(servers["churn"]) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert answer(sock) == (400, {"detail": "expected a whole request, found it cut off"})


UNUSUAL = {
    "h2c offered with a body": post(row(), *UPGRADE),
    "a websocket offered with a body": post(row(), "Connection: Upgrade", "Upgrade: websocket"),
    "h2c offered with chunks": post(
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(row()), row()), *UPGRADE, "Transfer-Encoding: chunked"
    ),
    "chunks": chunked(row()[:5], row()[5:]),
    "HTTP/1.0": post(row(), version="1.0"),
    "the whole address": post(row(), path="http://here/predict"),
    "garbage after it": post(row()) + b"garbage\r\n\r\n",
    "a field twice, of which the last counts": post(b'{"age":7,' + row()[1:]),
    "spaces around it": post(b"\r\n " + row() + b"\t\n"),
    "another JSON type": post(row(), "Content-Type: application/vnd.rows+json; charset=utf-8"),
    "gzip in capitals": post(gzip.compress(row()), "Content-Encoding: GZIP"),
    "deflate": post(zlib.compress(row()), "Content-Encoding: deflate"),
}


@pytest.mark.parametrize("half", [False, True], ids=["open", "half closed"])
@pytest.mark.parametrize("sent", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_an_unusual_but_whole_request_gets_its_answer(
    servers: Servers, sent: bytes, half: bool
) -> None:
    with connect(servers["churn"]) as sock:
        sock.sendall(sent)
        if half:
            sock.shutdown(socket.SHUT_WR)
        status, body = answer(sock)
    own = servers["churn"].post("/predict", content=row()).json()
    assert (status, body) == (200, own)


def test_requests_in_one_packet_are_answered_in_their_order(servers: Servers) -> None:
    """Whatever mix of upgrades, errors and good requests it is, until one ends the connection."""
    sent = [post(row(), *UPGRADE), post(b"{}"), post(row()), post(b"[" + row() + b"]", *UPGRADE)]
    with connect(servers["churn"]) as sock:
        sock.sendall(b"".join(sent) + b"garbage\r\n\r\n")
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"422", b"200", b"200"]
    servers.check("churn")


def test_3000_upgrades_in_one_packet_harm_nobody(servers: Servers) -> None:
    head = b"GET /health HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    with connect(servers["churn"]) as sock:
        sock.sendall(head * 3_000)
        assert answer(sock) == (200, {"status": "ok"})
    servers.check("churn")
