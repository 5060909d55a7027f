"""A request that needs no ASGI gets the answer that ASGI would have given it."""

import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Serve
from support import models
from support.serving import Server

FLAGS = ("--access-log", "--log-format", "json", "--drain-delay", "0")
LONG = "/predict?"
"""The same route by a URL that only the application reads."""

CASES: dict[str, tuple[dict[str, str], Any]] = {
    "one row": ({}, 1),
    "a list of one": ({}, [1]),
    "a list of three": ({}, [3]),
    "a list of two hundred": ({}, [200]),
    "a request id": ({"x-request-id": "mine-1"}, 1),
    "a trace": ({"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}, 1),
    "a content type with a parameter": ({"content-type": "application/json; charset=utf-8"}, 1),
    "a deadline": ({"x-request-timeout-ms": "5000"}, 1),
    "a deadline in words": ({"x-request-timeout-ms": "soon"}, 1),
    "a deadline of nothing": ({"x-request-timeout-ms": "0"}, 1),
    "a missing field": ({}, {}),
    "no JSON": ({}, "{"),
    "a string for a number": ({}, dict.fromkeys(models.NAMES, "x")),
}


@pytest.fixture(scope="module", params=["onnx", "pickle"])
def server(
    request: pytest.FixtureRequest, serve_module: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """An ONNX model, and a pickle, whose lists run in a thread."""
    folder = tmp_path_factory.mktemp(request.param)
    return start(serve_module, folder, request.param)


def start(serve: Serve, folder: Path, kind: str, *flags: str) -> Server:
    trained = models.named_classifier()
    path = (models.save_onnx if kind == "onnx" else models.save_pickle)(trained, folder)
    inputs = ", ".join(f'{{ name = "{name}", datatype = "FP64" }}' for name in models.NAMES)
    (folder / "boxship.toml").write_text(f'model = "{path.name}"\ninputs = [{inputs}]\n')
    return serve(folder, *FLAGS, *flags).wait_until_ready()


def body(wanted: Any) -> bytes:
    rows = models.named_classifier().as_json()
    if wanted == 1:
        return json.dumps(rows[0]).encode()
    if isinstance(wanted, list):
        return json.dumps(rows[: wanted[0]]).encode()
    return wanted.encode() if isinstance(wanted, str) else json.dumps(wanted).encode()


@pytest.mark.parametrize("name", CASES)
def test_both_ways_answer_alike(server: Server, name: str) -> None:
    """Status, body and headers, down to the header names."""
    headers, wanted = CASES[name]
    headers = {"content-type": "application/json", **headers}
    direct = server.post("/predict", content=body(wanted), headers=headers)
    wrong = "in words" in name or "nothing" in name or not isinstance(wanted, int | list)
    assert (direct.status_code != 200) is wrong, direct.text
    long = server.post(LONG, content=body(wanted), headers=headers)
    assert (direct.status_code, direct.content) == (long.status_code, long.content)
    assert sorted(direct.headers) == sorted(long.headers)
    changing = {"x-request-id", "date"}
    if "x-request-id" in headers or "traceparent" in headers:
        changing.remove("x-request-id")
    for header in set(direct.headers) - changing:
        assert direct.headers[header] == long.headers[header]


def test_both_ways_are_logged_alike(server: Server) -> None:
    def line(path: str, request_id: str) -> dict[str, Any]:
        server.post(path, content=body([2]), headers={"x-request-id": request_id})
        for _ in range(100):
            for text in server.log.splitlines():
                entry: dict[str, Any] = json.loads(text)
                if entry.get("request_id") == request_id:
                    return entry
            time.sleep(0.02)
        raise AssertionError(f"{request_id} is not in the log")

    direct, long = line("/predict", "log-direct"), line(LONG, "log-long")
    for changing in ("time", "seconds", "request_id"):
        assert direct.pop(changing) != long.pop(changing)
    assert direct == long, direct
    assert (direct.get("rows"), direct["status"], direct["path"]) == (2, 200, "/predict")


def test_both_ways_are_counted(server: Server) -> None:
    def count() -> dict[str, float]:
        found = re.findall(
            r"^(boxship_\w+)\{(.*)\} (\S+)$", server.get("/metrics").text, re.MULTILINE
        )
        return {
            name: float(value)
            for name, labels, value in found
            if ('route="/predict"' in labels and 'code="200"' in labels)
            or name in ("boxship_compute_duration_seconds_count", "boxship_batch_size_sum")
        }

    before = count()
    for path in ("/predict", LONG):
        server.post(path, content=body([3]))
        after = count()
        assert after["boxship_requests_total"] == before["boxship_requests_total"] + 1
        assert after["boxship_batch_size_sum"] == before["boxship_batch_size_sum"] + 3
        assert (
            after["boxship_compute_duration_seconds_count"]
            == before["boxship_compute_duration_seconds_count"] + 1
        )
        before = after


def raw(content: bytes, *headers: str) -> bytes:
    lines = ["POST /predict HTTP/1.1", "host: test", "content-type: application/json"]
    head = "\r\n".join([*lines, *headers, f"content-length: {len(content)}", "", ""])
    return head.encode() + content


def read(sock: socket.socket, answers: int) -> list[int]:
    """The statuses of so many answers, in their order."""
    received = b""
    sock.settimeout(20)
    while len(re.findall(rb"\r\n\r\n[\[{]", received)) < answers:
        chunk = sock.recv(65536)
        assert chunk, received
        received += chunk
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", received)]


def test_a_body_in_pieces_gets_its_answer(server: Server) -> None:
    sent = raw(body(1))
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        for piece in (sent[:30], sent[30:-10], sent[-10:-3], sent[-3:]):
            sock.sendall(piece)
            time.sleep(0.05)
        assert read(sock, 1) == [200]
        sock.sendall(sent)
        assert read(sock, 1) == [200]


def test_many_requests_in_one_packet_are_answered_in_their_order(server: Server) -> None:
    """More than may be answered in one turn, and some that only the application answers."""
    bad, good = raw(b"{}"), raw(body(1))
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall((good * 20 + bad) * 3)
        assert read(sock, 63) == ([200] * 20 + [422]) * 3


def test_a_client_that_closes_its_sending_half_gets_its_answer(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(raw(body(1)))
        sock.shutdown(socket.SHUT_WR)
        assert read(sock, 1) == [200]
        assert sock.recv(1) == b""


def test_an_idle_connection_is_closed_after_its_time_and_a_busy_one_is_not(
    serve: Serve, tmp_path: Path
) -> None:
    server = start(serve, tmp_path, "onnx", "--keep-alive", "1")
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        for _ in range(4):
            sock.sendall(raw(body(1)))
            assert read(sock, 1) == [200]
            time.sleep(0.5)
        began = time.monotonic()
        assert sock.recv(1) == b""
        assert time.monotonic() - began < 5
