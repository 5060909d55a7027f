"""One request and one response, over plain ASGI."""

import asyncio
import gzip
import json
import re
import tracemalloc
import zlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from boxship.errors import MalformedError
from boxship.serve import messages
from boxship.serve.messages import (
    BodyLimits,
    DisconnectedError,
    MediaTypeError,
    Request,
    Response,
    TooLargeError,
    TooSlowError,
    json_response,
    respond,
    tracing_headers,
)

T = TypeVar("T")
DISCONNECT = {"type": "http.disconnect"}


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """Sends its messages one after the other, and then nothing."""

    def __init__(self, *sent: dict[str, Any]) -> None:
        self.unsent = list(sent)
        self.received: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if not self.unsent:
            await asyncio.Event().wait()
        return self.unsent.pop(0)

    async def send(self, message: Any) -> None:
        self.received.append(message)


def request(
    *sent: dict[str, Any],
    max_bytes: int = 100,
    timeout_s: float = 5,
    client: Client | None = None,
    version: str = "1.1",
    **headers: Any,
) -> Request:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "http_version": version,
        "headers": [(name.replace("_", "-").encode(), value) for name, value in headers.items()],
    }
    return Request(scope, (client or Client(*sent)).receive, BodyLimits(max_bytes, timeout_s))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def body(*sent: dict[str, Any], **options: Any) -> bytes:
    return run(request(*sent, **options).body())


# The body


@pytest.mark.parametrize(
    ("sent", "whole"),
    [
        ([chunk(b"")], b""),
        ([chunk(b"abc")], b"abc"),
        ([{"type": "http.request"}], b""),
        ([chunk(b"a", more=True), chunk(b"", more=True), chunk(b"bc")], b"abc"),
        ([chunk(b"abc", more=True), chunk(b"")], b"abc"),
    ],
)
def test_a_body_is_joined_from_its_chunks(sent: list[dict[str, Any]], whole: bytes) -> None:
    assert body(*sent) == whole


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ([chunk(bytes(101))], "101 bytes"),
        ([chunk(bytes(60), more=True), chunk(bytes(60), more=True)], "more"),
        ([chunk(bytes(60), more=True), chunk(bytes(60))], "120 bytes"),
    ],
)
def test_a_body_that_is_too_large(sent: list[dict[str, Any]], found: str) -> None:
    """It is refused as soon as it is; the rest is not waited for."""
    with pytest.raises(TooLargeError) as caught:
        body(*sent)
    assert str(caught.value) == f"expected a body of at most 100 bytes, found {found}"


def test_a_body_of_exactly_the_limit() -> None:
    assert body(chunk(bytes(60), more=True), chunk(bytes(40)), content_length=b"100") == bytes(100)


def test_a_declared_length_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(TooLargeError, match="found 101 bytes"):
        body(content_length=b"101")


def test_a_body_that_takes_too_long() -> None:
    with pytest.raises(TooSlowError) as caught:
        body(chunk(b"a", more=True), timeout_s=0.02)
    assert str(caught.value) == "expected the whole body within 0.02 s, found it unfinished"


def test_a_client_that_goes_away() -> None:
    with pytest.raises(DisconnectedError):
        body(chunk(b"a", more=True), DISCONNECT)


# Compressed bodies

PLAIN = b'{"a": 1}'


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        (b"identity", PLAIN),
        (b"gzip", gzip.compress(PLAIN, mtime=0)),
        (b"deflate", zlib.compress(PLAIN)),
        (b"GZIP", gzip.compress(PLAIN, mtime=0)),
        (b" gzip ", gzip.compress(PLAIN, mtime=0)),
    ],
)
def test_a_compressed_body(encoding: bytes, sent: bytes) -> None:
    """The name of an encoding has no case."""
    assert body(chunk(sent), content_encoding=encoding) == PLAIN


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, deflate", b"\xff", b""])
def test_an_encoding_that_is_not_read(encoding: bytes) -> None:
    with pytest.raises(MediaTypeError) as caught:
        body(chunk(PLAIN), content_encoding=encoding)
    shown = repr(encoding.decode("latin-1"))
    assert str(caught.value) == (
        f"expected the content encoding gzip, deflate or identity, found {shown}"
    )


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (PLAIN, "expected a gzip body, found: Error -3 while decompressing"),
        (gzip.compress(PLAIN, mtime=0)[:-1], "expected a whole gzip body, found it cut off"),
        (b"", "expected a whole gzip body, found it cut off"),
        (
            gzip.compress(b"[1,", mtime=0) + gzip.compress(b"2]", mtime=0),
            f"expected one gzip stream, found {len(gzip.compress(b'2]', mtime=0))} bytes after its end",
        ),
        (
            gzip.compress(PLAIN, mtime=0) + b"x",
            "expected one gzip stream, found 1 bytes after its end",
        ),
    ],
)
def test_a_body_that_is_not_what_it_says(sent: bytes, message: str) -> None:
    """Half of a body is never taken for the whole."""
    with pytest.raises(MalformedError) as caught:
        body(chunk(sent), content_encoding=b"gzip")
    assert str(caught.value).startswith(message)


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    """64 MB in 64 kB: no more is unpacked than the limit allows."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    with pytest.raises(TooLargeError) as caught:
        body(chunk(bomb), content_encoding=b"gzip", max_bytes=len(bomb))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).endswith("found more once decompressed")
    assert peak < 4 * 1024 * 1024


def test_a_bomb_that_goes_off_exactly_at_the_limit() -> None:
    assert body(chunk(gzip.compress(bytes(100))), content_encoding=b"gzip") == bytes(100)
    with pytest.raises(TooLargeError):
        body(chunk(gzip.compress(bytes(101))), content_encoding=b"gzip")


# What the headers say


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b"Application/JSON",
        b"application/vnd.api+json",
        None,
    ],
)
def test_json_by_its_content_type(kind: bytes | None) -> None:
    """Or none at all: what else would it be."""
    headers: dict[str, Any] = {} if kind is None else {"content_type": kind}
    request(**headers).expect_json()


@pytest.mark.parametrize(
    "kind",
    [b"application/x-www-form-urlencoded", b"text/plain", b"", b"\xff", b"application/jsonl"],
)
def test_another_content_type(kind: bytes) -> None:
    """A form is what curl -d says; the message says what to add."""
    with pytest.raises(MediaTypeError) as caught:
        request(content_type=kind).expect_json()
    shown = repr(kind.decode("latin-1"))
    assert str(caught.value) == (
        f"expected the content type application/json, found {shown}; "
        "add -H 'Content-Type: application/json'"
    )


def test_a_request_knows_its_method_path_and_headers() -> None:
    found = request(x_a=b"caf\xe9")
    assert (found.method, found.path) == ("POST", "/predict")
    assert (found.header(b"x-a"), found.header(b"x-b")) == ("café", None)


@pytest.mark.parametrize(
    ("version", "headers", "last"),
    [
        ("1.1", {}, False),
        ("1.1", {"connection": b"keep-alive"}, False),
        ("1.1", {"connection": b"Close"}, True),
        ("1.0", {}, True),
    ],
)
def test_the_last_request_of_a_connection(
    version: str,
    headers: dict[str, Any],
    last: bool,  # noqa: FBT001
) -> None:
    assert request(version=version, **headers).is_last is last


# Ids

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize("given", ["42", "a b", "x" * 128, "~!{}"])
def test_the_clients_request_id_is_kept(given: str) -> None:
    assert request(x_request_id=given.encode()).request_id() == given


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a\tb", b"a\x00", b"\x7f", b"caf\xc3\xa9"])
def test_a_request_id_that_would_harm_a_log_is_replaced(given: bytes) -> None:
    """Control characters, overlong ones, and what is no ASCII."""
    found = request(x_request_id=given).request_id()
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", found)


def test_a_new_request_id_is_new() -> None:
    assert len({request().request_id() for _ in range(10)}) == 10


def test_a_traces_id_stands_for_the_request() -> None:
    """So that a log line is found by either; the client's own id is kept where there is one."""
    assert request(traceparent=TRACEPARENT.encode()).request_id() == TRACE
    both = request(traceparent=TRACEPARENT.encode(), x_request_id=b"42")
    assert (both.request_id(), both.trace_id()) == ("42", TRACE)


@pytest.mark.parametrize(
    "given", [TRACEPARENT, f"00-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-what-comes-later"]
)
def test_a_traceparent_is_given_back(given: str) -> None:
    found = request(traceparent=given.encode())
    assert found.trace_id() == TRACE
    assert tracing_headers(found, "42") == [
        (b"x-request-id", b"42"),
        (b"traceparent", given.encode()),
    ]


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE,
        TRACEPARENT.upper(),
        TRACEPARENT + "-more",
        TRACEPARENT + " ",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{'z' * 32}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc-{TRACE}-{PARENT}-01-" + "x" * 5000,
        f"cc-{TRACE}-{PARENT}-01-\x07",
        f"cc-{TRACE}-{PARENT}-01-é",
    ],
)
def test_a_traceparent_that_is_none_is_ignored(given: str) -> None:
    """By the rules of W3C Trace Context: lower-case hex, no zeros, nothing more in version 00."""
    found = request(traceparent=given.encode())
    assert found.trace_id() == ""
    assert tracing_headers(found, "42") == [(b"x-request-id", b"42")]


# The response


def answer(
    found: Request, response: Response, *, client: Client, close: bool = False
) -> list[dict[str, Any]]:
    run(respond(client.send, found, response, [(b"x-extra", b"1")], close=close))
    return client.received


def test_a_json_response() -> None:
    response = json_response(422, {"detail": "é"}, ((b"allow", b"GET"),))
    assert (response.status, json.loads(response.body)) == (422, {"detail": "é"})
    assert (response.content_type, response.headers) == (b"application/json", ((b"allow", b"GET"),))


def test_a_response_says_its_length_and_type() -> None:
    client = Client()
    found = answer(
        request(), Response(200, b"abc", b"text/plain", ((b"etag", b"1"),)), client=client
    )
    assert found == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain"),
                (b"content-length", b"3"),
                (b"etag", b"1"),
                (b"x-extra", b"1"),
            ],
        },
        {"type": "http.response.body", "body": b"abc"},
    ]


async def read_and_respond(found: Request, client: Client) -> None:
    await found.body()
    await respond(client.send, found, Response(200, b"abc"), [], close=True)


def test_the_last_response_of_a_connection_says_so() -> None:
    client = Client(chunk(b"abc"))
    run(read_and_respond(request(client=client), client))
    assert (b"connection", b"close") in client.received[0]["headers"]
    assert client.received[1:] == [{"type": "http.response.body", "body": b"abc"}]


@pytest.mark.parametrize("close", [True, False], ids=["the server closes", "the client closes"])
def test_an_unread_body_is_read_before_the_connection_ends(close: bool) -> None:  # noqa: FBT001
    """Else the system resets the connection, and the reset overtakes the answer."""
    client = Client(chunk(b"a", more=True), chunk(b"b", more=True), chunk(b"c"))
    headers: dict[str, Any] = {} if close else {"connection": b"close"}
    found = answer(
        request(client=client, **headers), Response(413, b"no"), client=client, close=close
    )
    assert client.unsent == []
    assert found[1:] == [
        {"type": "http.response.body", "body": b"no", "more_body": True},
        {"type": "http.response.body", "body": b""},
    ]


def test_a_kept_connection_is_not_read_ahead() -> None:
    client = Client(chunk(b"a", more=True), chunk(b"b"))
    answer(request(client=client), Response(404, b"no"), client=client)
    assert len(client.unsent) == 2


def test_a_body_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_DISCARD_IDLE_S", 0.02)
    client = Client(chunk(b"a", more=True))
    found = answer(request(client=client), Response(413, b"no"), client=client, close=True)
    assert len(found) == 3


def test_a_client_that_asks_before_it_sends_has_nothing_to_discard() -> None:
    """It waits for "100 Continue", and gets its refusal instead."""
    client = Client()
    found = answer(
        request(client=client, expect=b"100-continue"),
        Response(413, b"no"),
        client=client,
        close=True,
    )
    assert len(found) == 3


def test_a_client_that_went_away_has_nothing_to_discard() -> None:
    client = Client(DISCONNECT)
    answer(request(client=client), Response(413, b"no"), client=client, close=True)
    assert client.unsent == []
