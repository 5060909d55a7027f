"""One HTTP request and one response, over plain ASGI."""

import asyncio
import json
import math
import re
import secrets
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from time import monotonic, time
from typing import Any

import msgspec

from boxship import contract
from boxship.errors import MalformedError, RequestError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"
GONE = "boxship.gone"
"""The scope's key for a function that tells whether the client has gone."""

_DISCARD_S = 30.0
_DISCARD_IDLE_S = 5.0
_REQUEST_ID = contract.REQUEST_ID_HEADER.encode()
_TIMEOUT = contract.REQUEST_TIMEOUT_HEADER.encode()
_TRACEPARENT = contract.TRACEPARENT_HEADER.encode()
_ID_LENGTH = 128
_TIMEOUT_DIGITS = 12
_NOT_MODIFIED = 304
_ids = count(1)
_id_prefix = secrets.token_hex(6)
# https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags; all zeros are none.
# A version after 00 may say more at the end.
_TRACEPARENT_FORM = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"(?:-[!-~]{1,64})?"
)


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's ``X-Request-ID``, else its trace's id, else a new one."""
    given = headers.get(_REQUEST_ID)
    if given and len(given) <= _ID_LENGTH and given.isascii() and given.decode().isprintable():
        return given.decode()
    return trace_id(headers) or f"{_id_prefix}-{next(_ids):x}"


def trace_id(headers: Mapping[bytes, bytes]) -> str:
    """The trace id of a W3C ``traceparent``, or nothing."""
    given = headers.get(_TRACEPARENT)
    if not given:
        return ""
    match = _TRACEPARENT_FORM.fullmatch(given)
    return match[1].decode() if match else ""


def deadline_s(headers: Mapping[bytes, bytes], timeout_s: float) -> float:
    """How long the answer may take, in seconds: as the client says, ``timeout_s`` at most.

    Raises ``MalformedError`` for a header that is no number.
    """
    given = headers.get(_TIMEOUT)
    if given is None:
        return timeout_s
    if not given.isdigit() or len(given) > _TIMEOUT_DIGITS or not int(given):
        raise MalformedError(
            f"X-Request-Timeout-Ms: expected milliseconds as a whole number above 0, "
            f"found {given.decode('latin-1')!r}"
        )
    return min(timeout_s, int(given) / 1000)


class TooLargeError(RequestError):
    """The body is larger than this server takes."""


class TooSlowError(RequestError):
    """The body did not arrive in time."""


class MediaTypeError(RequestError):
    """The content type or encoding is none that this route reads."""


class DisconnectedError(RequestError):
    """The client went away before its request was whole."""


@dataclass(frozen=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()


def json_response(status: int, content: Any, headers: tuple[Header, ...] = ()) -> Response:
    """``content`` as JSON."""
    try:
        body = msgspec.json.encode(content)
    except UnicodeEncodeError:
        # Half a surrogate pair, as a file name that is no UTF-8 has it.
        body = json.dumps(content).encode()
    return Response(status, body, JSON, headers)


@dataclass(frozen=True)
class BodyLimits:
    """Bytes, and seconds from the first to the last of them."""

    max_bytes: int
    timeout_s: float


@dataclass
class Request:
    """A request whose body is read when a route asks for it."""

    scope: Scope
    receive: Receive
    limits: BodyLimits
    headers: Mapping[bytes, bytes] = field(init=False)
    model: str = ""
    rows: int = 0
    unread: bool = True
    since: float = field(default_factory=monotonic)

    def __post_init__(self) -> None:
        self.headers = dict(self.scope["headers"])

    @property
    def method(self) -> str:
        """GET, POST and so on."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path, decoded."""
        return str(self.scope["path"])

    def header(self, name: bytes) -> str | None:
        """One header's value."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def is_last(self) -> bool:
        """Whether the client ends its connection with this request."""
        return (
            b"close" in self.headers.get(b"connection", b"").lower()
            or self.scope["http_version"] == "1.0"
        )

    def request_id(self) -> str:
        """The client's ``X-Request-ID``, else its trace's id, else a new one."""
        return request_id(self.headers)

    def trace_id(self) -> str:
        """The trace id of a W3C ``traceparent``, or nothing."""
        return trace_id(self.headers)

    def deadline(self, timeout_s: float) -> float:
        """When the answer must be there, at the latest ``timeout_s`` after the request came."""
        return self.since + deadline_s(self.headers, timeout_s)

    def gone(self) -> bool:
        """Whether the client has ended its side of the connection, as it does when it gives up."""
        asked: Callable[[], bool] | None = self.scope.get(GONE)
        return asked is not None and asked()

    def expect_json(self) -> None:
        """Raise ``MediaTypeError`` for a body that says it is something else than JSON."""
        given = self.headers.get(b"content-type", JSON)
        if given != JSON:
            kind = given.split(b";", 1)[0].strip().lower()
            if kind != JSON and not kind.endswith(b"+json"):
                raise MediaTypeError(
                    f"expected the content type application/json, found "
                    f"{given.decode('latin-1')!r}; add -H 'Content-Type: application/json'"
                )

    async def body(self) -> bytes:
        """The whole body, decompressed; raises for one that is too large, slow or cut off."""
        declared = self.headers.get(b"content-length")
        if declared is not None and int(declared) > self.limits.max_bytes:
            raise self._too_large(f"{int(declared)} bytes")
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                body = await self._read()
        except TimeoutError:
            raise TooSlowError(
                f"expected the whole body within {self.limits.timeout_s:g} s, found it unfinished"
            ) from None
        if len(body) > self.limits.max_bytes:
            raise self._too_large(f"{len(body)} bytes")
        encoding = self.headers.get(b"content-encoding")
        return body if encoding is None else self._decompressed(body, encoding.strip().lower())

    async def _read(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self.unread = False
                raise DisconnectedError
            chunk: bytes = message.get("body", b"")
            if not message.get("more_body"):
                self.unread = False
                return b"".join((*chunks, chunk)) if chunks else chunk
            chunks.append(chunk)
            size += len(chunk)
            if size > self.limits.max_bytes:
                raise self._too_large("more")

    def _too_large(self, found: str) -> TooLargeError:
        return TooLargeError(
            f"expected a body of at most {self.limits.max_bytes} bytes, found {found}"
        )

    def _decompressed(self, body: bytes, encoding: bytes) -> bytes:
        if encoding == b"identity":
            return body
        if encoding not in (b"gzip", b"deflate"):
            raise MediaTypeError(
                f"expected the content encoding gzip, deflate or identity, "
                f"found {encoding.decode('latin-1')!r}"
            )
        # 32: zlib reads the header and tells gzip from zlib by itself.
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            plain = inflate.decompress(body, self.limits.max_bytes + 1)
        except zlib.error as error:
            raise MalformedError(f"expected a {encoding.decode()} body, found: {error}") from None
        if len(plain) > self.limits.max_bytes:
            raise self._too_large("more once decompressed")
        if not inflate.eof:
            raise MalformedError(f"expected a whole {encoding.decode()} body, found it cut off")
        if inflate.unused_data:
            # A second member could hold the rest of the rows; half of them is no answer.
            raise MalformedError(
                f"expected one {encoding.decode()} stream, "
                f"found {len(inflate.unused_data)} bytes after its end"
            )
        return plain

    async def discard(self) -> None:
        """Read what is left of the body and forget it.

        A connection that is closed while bytes of its client wait unread is reset,
        and the reset overtakes the answer.
        """
        if not self.unread or self.headers.get(b"expect"):
            return
        try:
            async with asyncio.timeout(_DISCARD_S):
                more = True
                while more:
                    async with asyncio.timeout(_DISCARD_IDLE_S):
                        more = (await self.receive()).get("more_body", False)
        except TimeoutError:
            pass  # slower than anybody waits: its answer may get lost
        self.unread = False


async def respond(
    send: Send, request: Request, response: Response, headers: list[Header], *, close: bool
) -> None:
    """Send ``response``; with ``close`` the connection ends with it, as the client may wish."""
    head: list[Header] = []
    if response.status != _NOT_MODIFIED:
        length = str(len(response.body)).encode()
        head += [(b"content-type", response.content_type), (b"content-length", length)]
    head += [*response.headers, *headers]
    if close:
        head.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": head})
    if (close or request.is_last) and request.unread:
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        await request.discard()
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": response.body})


def tracing_headers(request: Request, request_id: str) -> list[Header]:
    """The ids that tie an answer to its request."""
    headers = [(_REQUEST_ID, request_id.encode("ascii", "replace"))]
    if request.trace_id():
        headers.append((_TRACEPARENT, request.headers[_TRACEPARENT]))
    return headers


class Date:
    """The ``Date`` header's value, made anew each second."""

    def __init__(self) -> None:
        self._value = b""
        self._until = 0.0

    def now(self) -> bytes:
        seconds = time()
        if seconds >= self._until:
            self._until = math.floor(seconds) + 1.0
            self._value = formatdate(seconds, usegmt=True).encode()
        return self._value
