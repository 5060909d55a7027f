"""What is wrong with a request is said, with a 4xx, and harms nobody else.

Each case goes to a real server: its answer names the place, what was expected and what was
found, and the same server then answers a good request right. Tensors and connections have
their own files beside this one.
"""

import gzip
import json
import zlib
from pathlib import Path

import pytest
from conftest import Serve
from support.bad_requests import GOOD, MAX_BODY, MAX_ROWS, Case, Servers, check, row, table

DEEP = b"[" * 100_000
MANY = json.dumps([GOOD["churn"]] * (MAX_ROWS + 1)).encode()
WIDE = json.dumps(dict.fromkeys(map(str, range(50_000)), 0)).encode()
BOMB = gzip.compress(bytes(100 * MAX_BODY))
DIGITS = b"9" * 5000
FORM = "application/x-www-form-urlencoded"
LARGE = '{"feature_1": %s, "feature_2": 0, "feature_3": 0}'


def no_json(wrong: str, body: bytes, *says: str, model: str = "churn") -> Case:
    return Case(wrong, body, says, 400, "/predict", {}, model)


def misfit(wrong: str, body: bytes, *says: str, model: str = "churn") -> Case:
    return Case(wrong, body, says, 422, "/predict", {}, model)


def typed(wrong: str, content_type: str) -> Case:
    says = ("the content type application/json", repr(content_type))
    return Case(wrong, row(), says, 415, "/predict", {"content-type": content_type})


def packed(wrong: str, body: bytes, *says: str, status: int = 400, coding: str = "gzip") -> Case:
    return Case(wrong, body, says, status, "/predict", {"content-encoding": coding})


BODIES = [
    no_json("empty body", b"", "JSON", "an empty body"),
    no_json("only spaces", b" \r\n\t", "JSON", "an empty body"),
    no_json("no JSON", b"age=1", "JSON", "position 0"),
    no_json("truncated object", row()[:-10], "JSON", "position"),
    no_json("truncated list", b"[" + row(), "JSON", "position"),
    no_json("truncated string", b'{"age', "JSON", "position"),
    no_json("bytes after the end", row() + b"x", "JSON", "position"),
    no_json("two objects", row() + row(), "JSON", "position"),
    no_json("trailing comma", b'{"age":1,}', "JSON", "position"),
    no_json("single quotes", b"{'age':1}", "JSON", "position 1"),
    no_json("comment", b"/* */" + row(), "JSON", "position 0"),
    no_json("leading zero", row().replace(b"1.5", b"01.5"), "JSON", "position"),
    no_json("NaN", row(age=float("nan")), "JSON", "NaN"),
    no_json("Infinity", row(age=float("inf")), "JSON", "Infinity"),
    no_json("-Infinity", row(age=-float("inf")), "JSON", "-Infinity"),
    no_json("control character", b'{"city":"\0"}', "JSON", "position 9", model="people"),
    no_json("lone surrogate", row("people", city="\ud800"), "surrogate", "ud800", model="people"),
    no_json("lone surrogate in a name", b'{"\\udfff":1}', "surrogate", "udfff"),
    no_json("invalid UTF-8", b'{"age":"\xff"}', "UTF-8", "0xff", "position 8"),
    no_json("surrogate in UTF-8", b'{"age":"\xed\xa0\x80"}', "UTF-8", "0xed"),
    no_json("UTF-16", row().decode().encode("utf-16"), "UTF-8", "position 0"),
    no_json("UTF-16 without mark", row().decode().encode("utf-16-le"), "JSON", "position 1"),
    no_json("byte order mark", b"\xef\xbb\xbf" + row(), "JSON", "BOM"),
    no_json("too deep list", DEEP, "nested too deep"),
    no_json("too deep object", b'{"a":' * 100_000, "nested too deep"),
    no_json("too deep field", b'{"age":' + DEEP, "nested too deep"),
]

ROW = "an object with one field per column"
NUMBER = "age: expected a finite number"

ROWS = [
    misfit("null for a row", b"null", ROW, "found null"),
    misfit("number for a row", b"5", ROW, "found the number 5"),
    misfit("string for a row", b'"age"', ROW, 'found the string "age"'),
    misfit("true for a row", b"true", ROW, "found true"),
    misfit("list for a row", b"[[1,2,3]]", f"[0]: expected {ROW}, found a list of 3"),
    misfit("null among rows", b"[" + row() + b",null]", f"[1]: expected {ROW}, found null"),
    misfit("no rows", b"[]", f"a list of 1 to {MAX_ROWS} rows, found 0 rows"),
    misfit("too many rows", MANY, f"a list of 1 to {MAX_ROWS} rows, found {MAX_ROWS + 1} rows"),
    misfit("no fields", b"{}", NUMBER, "balance: expected", "mean radius: expected", "nothing"),
    misfit("missing field", row(balance=...), "balance: expected a finite number, found nothing"),
    misfit("missing in row 2", b"[%s,%s]" % (row(), row(age=...)), f"[1].{NUMBER}, found nothing"),
    misfit(
        "unknown field",
        row(height=3),
        "height: expected one of the model's columns, found an unknown",
    ),
    misfit("misspelt field", row(balance=..., balnce=1), "did you mean 'balance'?", "balance: exp"),
    misfit("capitals", row(age=..., Age=1), "Age: expected one of", "(did you mean 'age'?)"),
    misfit(
        "field of 500,000 letters",
        row(**{"x" * 500_000: "1"}),
        "x…: expected one of the model's columns",
    ),
    misfit("50,000 unknown fields", WIDE, "0: expected one of the model's", "19: expected one of"),
    misfit("null for a number", row(age=None), f"{NUMBER}, found null"),
    misfit("string for a number", row(age="1.5"), f'{NUMBER}, found the string "1.5"'),
    misfit("bool for a number", row(age=True), f"{NUMBER}, found true"),
    misfit("object for a number", row(age={"value": 1}), f"{NUMBER}, found an object"),
    misfit("list for a number", row(age=[1]), f"{NUMBER}, found a list of 1"),
    misfit("1e999", row().replace(b"1.5", b"1e999"), f"{NUMBER}, found a number that is too large"),
    misfit("400 digits", row(age=10**400), f"{NUMBER}, found a number that is too large"),
    misfit("5,000 digits", row().replace(b"1.5", DIGITS), f"{NUMBER}, found a number that is too"),
    misfit("number for a string", row("people", city=5), "city: expected a string", model="people"),
    misfit("bool for a string", row("people", city=False), "found false", model="people"),
    misfit(
        "string for a number or null",
        row("people", income=""),
        'income: expected a finite number or null, found the string ""',
        model="people",
    ),
    misfit(
        "too large for FP32",
        (LARGE % "1e39").encode(),
        "feature_1: expected a number that FP32 can hold, found 1e+39",
        model="scores",
    ),
    misfit(
        "too large for FP32 in row 2",
        f"[{LARGE % 1},{LARGE % '-1e300'}]".encode(),
        "[1].feature_1: expected a number that FP32 can hold, found -1e+300",
        model="scores",
    ),
    misfit("256 for UINT8", row("kinds", small=256), "small", "from 0 to 255", model="kinds"),
    misfit("-1 for UINT8", row("kinds", small=-1), "small", "the number -1", model="kinds"),
    misfit("1.5 for UINT8", row("kinds", small=1.5), "small", "a whole number", model="kinds"),
    misfit("2^63 for INT64", row("kinds", whole=2**63), "whole", "922337203685", model="kinds"),
    misfit("2^64 for UINT64", row("kinds", big=2**64), "big", "1844674407370955", model="kinds"),
    misfit("-1 for UINT64", row("kinds", big=-1), "big", "from 0 to 184467440", model="kinds"),
    misfit(
        "5,000 digits for INT64",
        row("kinds").replace(b"-5", DIGITS),
        "whole: expected a whole number",
        model="kinds",
    ),
    misfit("1 for BOOL", row("kinds", flag=1), "flag: expected true or false", model="kinds"),
    misfit("70000 for FP16", row("kinds", half=7e4), "half", "that FP16 can hold", model="kinds"),
    misfit("rows for a model of tensors", b"{}", "tensors", "image", "/v2/models/", model="image"),
]

ENVELOPES = [
    Case("too large", bytes(MAX_BODY + 1), (f"at most {MAX_BODY} bytes",), 413, "/predict"),
    typed("form", FORM),
    typed("form with a file", "multipart/form-data; boundary=x"),
    typed("plain text", "text/plain"),
    typed("binary", "application/octet-stream"),
    packed("brotli", row(), "gzip, deflate or identity", "'br'", status=415, coding="br"),
    packed("gzip of gzip", row(), "'gzip, gzip'", status=415, coding="gzip, gzip"),
    packed("no gzip", row(), "a gzip body"),
    packed("truncated gzip", gzip.compress(row())[:-12], "gzip", "cut off"),
    packed("gzip with a wrong checksum", gzip.compress(row())[:-8] + bytes(8), "a gzip body"),
    packed("gzip with more behind it", gzip.compress(row()) * 2, "one gzip stream"),
    packed("gzip of no JSON", gzip.compress(b"age"), "JSON", "position 0"),
    packed("gzip bomb", BOMB, f"at most {MAX_BODY} bytes", "decompressed", status=413),
    packed("truncated deflate", zlib.compress(row())[:-5], "cut off", coding="deflate"),
]

MODEL = "/v2/models/churn"
ROUTES = {
    **dict.fromkeys(("/health", "/ready", "/metrics", "/openapi.json", "/docs", "/v2"), "GET"),
    **dict.fromkeys(("/v2/health/live", "/v2/health/ready", MODEL, f"{MODEL}/ready"), "GET"),
    **dict.fromkeys((f"{MODEL}/versions/7", f"{MODEL}/versions/7/ready"), "GET"),
    **dict.fromkeys(("/predict", f"{MODEL}/infer", f"{MODEL}/versions/7/infer"), "POST"),
}

METHODS = [
    Case(f"{method} {path}", b"", (allowed, path, method), 405, path, {}, "churn", method)
    for path, allowed in ROUTES.items()
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    if method != allowed
]


def nowhere(wrong: str, path: str, *says: str, method: str = "POST") -> Case:
    return Case(wrong, row(), says, 404, path, {}, "churn", method)


PATHS = [
    nowhere("unknown path", "/nope", "no such path /nope", "/predict"),
    nowhere("path of 10,000 letters", "/" + "x" * 10_000, "no such path", "…"),
    nowhere("path that is no text", "/%ff%00%0a", "no such path"),
    nowhere("slash at the end", "/predict/", "no such path /predict/"),
    nowhere("unknown path under /v2", "/v2/nope", "no such path /v2/nope"),
    nowhere("unknown model", "/v2/models/nope/infer", "expected the model churn", "nope"),
    nowhere("unknown model's metadata", "/v2/models/nope", "the model churn", method="GET"),
    nowhere("unknown version", f"{MODEL}/versions/8/infer", "version 7", "versions/8"),
    nowhere("model without a name", "/v2/models//infer", "expected the model churn"),
    nowhere("unknown verb of a model", f"{MODEL}/explain", "churn/explain"),
]

CASES = [*BODIES, *ROWS, *ENVELOPES, *METHODS, *PATHS]


@pytest.fixture(scope="module")
def servers(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    names = ("churn", "people", "scores", "kinds", "image")
    return Servers(serve_module, tmp_path_factory.mktemp("models"), names)


@table(CASES)
def test_a_bad_request_is_told_what_is_wrong(servers: Servers, case: Case) -> None:
    check(servers, case)


def test_nothing_of_this_was_the_servers_own_fault(servers: Servers) -> None:
    """Last in the file: no error in the log, and no answer of 500 in the counts."""
    for model in GOOD:
        assert '"level":"error"' not in servers[model].log
        assert 'code="5' not in servers[model].get("/metrics").text


SERVICE = """
import msgspec

from boxship import InputError, Service


class TooYoung(InputError):
    "An error of the service's own."


class Row(msgspec.Struct):
    age: int


class Gate(Service):
    def predict(self, rows: list[Row]) -> list[bool]:
        if any(row.age < 18 for row in rows):
            raise TooYoung("age: expected at least 18")
        return [True] * len(rows)
"""


def test_a_service_refuses_rows_with_an_error_of_its_own_kind(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "gate.py").write_text(SERVICE, encoding="utf-8")
    server = serve("gate:Gate", "--workers", "1", "--drain-delay", "0", cwd=tmp_path)
    refused = server.post("/predict", json={"age": 7})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["msg"] == "age: expected at least 18"
    assert server.post("/predict", json={"age": 18}).status_code == 200
