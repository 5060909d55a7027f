"""Bytes that no HTTP library would send: each gets an answer, and so does what came before it."""

import gzip
import json
import socket
import zlib
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import pytest
from conftest import Serve
from support.bad_requests import MAX_BODY, Servers, row
from support.serving import Server


@pytest.fixture(scope="module")
def servers(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    return Servers(serve_module, tmp_path_factory.mktemp("models"), ("churn",))


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def answer(sock: socket.socket) -> tuple[int, Any]:
    """The next answer: its status and its content."""
    with HTTPResponse(sock) as response:
        response.begin()
        return response.status, json.loads(response.read(int(response.headers["content-length"])))


def post(body: bytes = b"", *headers: str, path: str = "/predict", version: str = "1.1") -> bytes:
    """A request as it goes over the wire, with its length unless ``headers`` say another."""
    lines = [f"POST {path} HTTP/{version}", "Host: here", *headers]
    if not any(one.startswith(("Content-Length", "Transfer-Encoding")) for one in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def get(*headers: bytes, path: bytes = b"/health") -> bytes:
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", *headers, b"", b""])


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


CHUNKED = "Transfer-Encoding: chunked"
BIG = bytes(20 * MAX_BODY)
UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
LARGE = f"at most {MAX_BODY} bytes"


@dataclass(frozen=True)
class Raw:
    """What is wrong with these bytes, and their answer: a status and what it says."""

    wrong: str
    sent: bytes
    status: int
    says: str


def no_http(wrong: str, sent: bytes) -> Raw:
    return Raw(wrong, sent, 400, "expected an HTTP/1.1 request, found something else")


def headers(wrong: str, sent: bytes) -> Raw:
    return Raw(wrong, sent, 431, "expected headers of at most 65536 bytes, found more")


ENDS = [
    no_http("no HTTP", b"hello\r\n\r\n"),
    no_http("TLS", bytes.fromhex("16030100c8010000c40303") + bytes(64)),
    no_http("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    no_http("unknown method", b"FETCH /health HTTP/1.1\r\n\r\n"),
    no_http("CONNECT", b"CONNECT here:443 HTTP/1.1\r\nHost: here\r\n\r\n"),
    no_http("path not ASCII", get(path=b"/\xff")),
    no_http("header without colon", get(b"Host")),
    no_http("space in a header's name", get(b"Ho st: here")),
    no_http("null in a header", get(b"Host: \0")),
    no_http("length in words", post(row(), "Content-Length: ten")),
    no_http("length negative", post(row(), "Content-Length: -1")),
    no_http("length overflowing", post(row(), f"Content-Length: {10**30}")),
    no_http("two lengths", post(row(), "Content-Length: 5", "Content-Length: 6")),
    no_http("length and chunks", post(row(), "Content-Length: 5", CHUNKED)),
    no_http("unknown transfer encoding", post(row(), "Transfer-Encoding: gzip")),
    no_http("chunk size in words", post(b"xyz\r\n", CHUNKED)),
    no_http("chunk longer than its size", post(b"2\r\nabcdef\r\n", CHUNKED)),
    headers("header of 70 kB", get(b"X: " + b"x" * 70_000)),
    headers("header of 5 MB", get(b"X: " + b"x" * 5_000_000)),
    headers("60,000 headers", get(*[b"X: y"] * 60_000)),
    headers("path of 5 MB", get(path=b"/" + b"x" * 5_000_000)),
    Raw("slow headers", get()[:-1], 408, "the whole headers within 1 s, found them unfinished"),
    Raw("slow body", post(row())[:-5], 408, "the whole body within 1 s, found it unfinished"),
    Raw("slow chunks", post(b"5\r\nab", CHUNKED), 408, "the whole body within 1 s"),
    Raw("20 MB", post(BIG), 413, LARGE),
    Raw("20 MB to V2", post(BIG, path="/v2/models/churn/infer"), 413, LARGE),
    Raw("20 MB in chunks", post(chunks(*[bytes(2**20)] * 20), CHUNKED), 413, LARGE),
    Raw(
        "20 MB of text, then a close",
        post(BIG, "Connection: close", "Content-Type: a/b"),
        415,
        "a/b",
    ),
    Raw("20 MB to nowhere in HTTP/1.0", post(BIG, path="/nope", version="1.0"), 404, "/nope"),
    Raw(
        "20 MB after a 100",
        post(b"", "Expect: 100-continue", "Content-Length: 20000000"),
        413,
        LARGE,
    ),
]

GOES_ON = [
    Raw("neither length nor chunks", post().replace(b"Content-L", b"X-L"), 400, "an empty body"),
    Raw("bad row in chunks", post(chunks(b'{"age"', b":true}"), CHUNKED), 422, "found true"),
    Raw("bad row with an upgrade", post(b"{}", *UPGRADE), 422, "age: expected"),
    Raw("20 MB to nowhere", post(BIG, path="/nope"), 404, "/nope"),
]


def said(body: dict[str, Any]) -> str:
    (detail,) = body.values()
    return str(detail)


@pytest.mark.parametrize("case", ENDS, ids=[case.wrong for case in ENDS])
def test_what_ends_a_connection_is_answered_first(servers: Servers, case: Raw) -> None:
    """The whole answer arrives although the client sends on: the end is no reset."""
    with connect(servers["churn"]) as sock:
        sock.sendall(case.sent)
        status, body = answer(sock)
        assert (status, case.says in said(body)) == (case.status, True), body
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    servers.check("churn")


@pytest.mark.parametrize("case", GOES_ON, ids=[case.wrong for case in GOES_ON])
def test_what_is_whole_ends_no_connection(servers: Servers, case: Raw) -> None:
    with connect(servers["churn"]) as sock:
        sock.sendall(case.sent)
        status, body = answer(sock)
        assert (status, case.says in said(body)) == (case.status, True), body
        sock.sendall(post(row()))
        assert answer(sock)[0] == 200


@pytest.mark.parametrize("sent", [get()[:-9], post(row())[:-3], post(b"5\r\nab", CHUNKED)])
def test_a_request_that_its_client_cuts_off_is_told_so(servers: Servers, sent: bytes) -> None:
    with connect(servers["churn"]) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert answer(sock) == (400, {"detail": "expected a whole request, found it cut off"})
        assert sock.recv(1) == b""


def test_a_slow_body_of_a_request_already_answered_harms_nobody(servers: Servers) -> None:
    with connect(servers["churn"]) as sock:
        sock.sendall(post(row(), path="/nope")[:-5])
        assert answer(sock)[0] == 404
    servers.check("churn")


UNUSUAL = {
    "h2c offered with a body": post(row(), *UPGRADE),
    "h2c offered with chunks": post(chunks(row()), *UPGRADE, CHUNKED),
    "a websocket offered with a body": post(row(), "Connection: Upgrade", "Upgrade: websocket"),
    "chunks": post(chunks(row()[:5], row()[5:]), CHUNKED),
    "HTTP/1.0": post(row(), version="1.0"),
    "the whole address": post(row(), path="http://here/predict"),
    "garbage after it": post(row()) + b"garbage\r\n\r\n",
    "half a request after it": post(row()) + post(row())[:-5],
    "a field twice, of which the last counts": post(b'{"age":7,' + row()[1:]),
    "spaces around it": post(b"\r\n " + row() + b"\t\n"),
    "another JSON type": post(row(), "Content-Type: application/vnd.rows+json; charset=utf-8"),
    "gzip in capitals": post(gzip.compress(row()), "Content-Encoding: GZIP"),
    "deflate": post(zlib.compress(row()), "Content-Encoding: deflate"),
    "no type": post(row()),
}


@pytest.mark.parametrize("end", ["open", "half closed"])
@pytest.mark.parametrize("sent", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_an_unusual_but_whole_request_gets_its_answer(
    servers: Servers, sent: bytes, end: str
) -> None:
    with connect(servers["churn"]) as sock:
        sock.sendall(sent)
        if end == "half closed":
            sock.shutdown(socket.SHUT_WR)
        status, body = answer(sock)
    assert (status, body) == (200, servers["churn"].post("/predict", content=row()).json())


def test_requests_in_one_packet_are_answered_in_their_order(servers: Servers) -> None:
    """Upgrades, bad requests and good ones, up to the one that ends the connection."""
    sent = [post(row(), *UPGRADE), post(b"{}"), post(row()), post(row(), *UPGRADE)]
    with connect(servers["churn"]) as sock:
        sock.sendall(b"".join(sent) + b"garbage\r\n\r\n")
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"422", b"200", b"200"]
    assert received.count(b"connection: close") == 1
    servers.check("churn")


def test_3000_upgrades_in_one_packet_harm_nobody(servers: Servers) -> None:
    with connect(servers["churn"]) as sock:
        sock.sendall(get(b"Connection: Upgrade", b"Upgrade: h2c") * 3_000)
        assert answer(sock) == (200, {"status": "ok"})
    servers.check("churn")


def test_headers_in_many_small_packets_are_one_request(servers: Servers) -> None:
    with connect(servers["churn"]) as sock:
        for byte in post(row(), *UPGRADE):
            sock.send(bytes([byte]))
        assert answer(sock)[0] == 200


def test_nothing_of_this_was_the_servers_own_fault(servers: Servers) -> None:
    """Last in the file: no error in the log, and no answer of 500 in the counts."""
    assert [line for line in servers["churn"].log.splitlines() if '"level":"error"' in line] == []
    assert 'code="5' not in servers["churn"].get("/metrics").text
