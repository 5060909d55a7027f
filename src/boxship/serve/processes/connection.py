"""HTTP/1.1 connections: uvicorn's protocol with the limits that it leaves to others."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from boxship import contract

LINGER_S = 1.0
"""How long a connection that is about to close still listens to its client."""


class Connection(HttpToolsProtocol):
    """One connection, with limits on the time and size of request headers.

    Whatever a client sends, it gets the answers to its whole requests first.
    """

    flow: FlowControl
    cycle: RequestResponseCycle | None  # type: ignore[assignment]
    header_timeout_s = contract.HEADER_TIMEOUT_S
    counted: Callable[[int], None] = staticmethod(lambda _: None)
    _timer: asyncio.TimerHandle | None = None
    _in_headers = False
    _header_bytes = 0
    _refused = False
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client that connects and says nothing is an idle one."""
        super().connection_made(transport)
        self.counted(len(self.connections))
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers: they would hold the connection's memory until they fire."""
        super().connection_lost(exc)
        if self._running is not None:
            # The base class knows only of the newest request, which may wait behind this one.
            self._running.disconnected = True
            self._running.message_event.set()
        self.counted(len(self.connections))
        self._unset_keepalive_if_required()
        self._unset_timer()

    def data_received(self, data: bytes) -> None:
        """Parse, then see whether the headers are still on their way."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        unfinished = self.scope if self._in_headers else None
        self._feed(data)
        if self.transport.is_closing() or self._refused:
            return
        if self._in_headers:
            self._header_bytes += len(data) if self.scope is unfinished else 0
            if self._header_bytes > contract.MAX_HEADER_BYTES:
                self._refuse_headers()
            elif self._timer is None:
                self._timer = self.loop.call_later(self.header_timeout_s, self._refuse_slow_headers)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError:
                # The headers' size is the one thing that stops the parser from our side.
                if self._header_bytes > contract.MAX_HEADER_BYTES:
                    self._refuse_headers()
                else:
                    self._refuse(400, "expected an HTTP/1.1 request, found something else")
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _should_upgrade(self) -> bool:
        is_handshake: bool = self.parser.get_method() == b"GET" and super()._should_upgrade()
        return is_handshake

    @property
    def _declines_upgrade(self) -> bool:
        # To the parser every CONNECT is an upgrade; it has no path and ends as a bad request.
        upgrade = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        return upgrade and not self._should_upgrade()

    def _head_without_upgrade(self) -> bytes:
        """The request as the plain one that it is too; the parser has skipped its body.

        Java's HTTP client offers h2c with each request, those with a body included.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"\r\n"])

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has sent all it has may still wait for its answer."""
        latest = self._unanswered
        cut_off = self._in_headers or (latest is not None and latest.more_body)
        if cut_off and not self._refused:
            self._refuse(400, "expected a whole request, found it cut off")
        if latest is None or latest.disconnected:
            return False
        latest.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        """The last byte of the headers."""
        self._in_headers = False
        self._unset_timer()
        self._header_bytes = len(self.url) + sum(len(one) + len(two) for one, two in self.headers)
        if self._header_bytes > contract.MAX_HEADER_BYTES:
            raise ValueError("headers too large")
        if not self._declines_upgrade:
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if not self._declines_upgrade:
            super().on_message_complete()

    @property
    def awaits_request(self) -> bool:
        """Whether a request has begun, or the first of a new connection may be on the way."""
        return (self.cycle is None or self._in_headers) and not self._refused

    @property
    def _unanswered(self) -> RequestResponseCycle | None:
        """The latest request, if its answer is still to come."""
        return None if self.cycle is None or self.cycle.response_complete else self.cycle

    def _refuse_headers(self) -> None:
        most = contract.MAX_HEADER_BYTES
        self._refuse(431, f"expected headers of at most {most} bytes, found more")

    def _refuse_slow_headers(self) -> None:
        most = f"{self.header_timeout_s:g} s"
        self._refuse(408, f"expected the whole headers within {most}, found them unfinished")

    def _refuse(self, status: int, detail: str) -> None:
        """Read no further: answer with ``status``, or with what whole requests still wait for."""
        self._refused = True
        self._unset_timer()
        latest = self._unanswered
        if self.pipeline and latest is not None and latest.more_body:
            # Only the newest request can be unfinished: those before it are whole.
            self.pipeline.popleft()
            latest = self.cycle = self.pipeline[0][0] if self.pipeline else self._running
        if latest is not None:
            if not latest.more_body:
                latest.keep_alive = False
                return
            latest.disconnected = True
            latest.message_event.set()
            if latest.response_started:
                self.transport.close()
                return
        body = json.dumps({"detail": detail}).encode()
        head = (
            b"content-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[status] + head + body)
        # A close over bytes that nobody has read is a reset, which overtakes the answer.
        self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_S, self.transport.close)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
