"""HTTP/1.1 connections: uvicorn's protocol with the limits that it leaves to others."""

import asyncio
import fcntl
import json
import struct
import termios
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
from boxship.serve.arrived import Answer, Arrived, DirectHandler
from boxship.serve.messages import GONE, Header
from boxship.serve.processes.direct_cycle import DirectCycle

LINGER_S = 1.0
"""How long a connection that is about to close still listens to its client."""
_BUSY_S = 0.1
"""A client that asked less than this ago is likely to ask again."""
_DIRECT_TURNS = 16
"""Requests of one client that may be answered in a row while others wait for their turn."""


class Connection(HttpToolsProtocol):
    """One connection, with limits on the time and size of request headers.

    Whatever a client sends, it gets the answers to its whole requests first.
    """

    flow: FlowControl
    cycle: RequestResponseCycle | DirectCycle | None  # type: ignore[assignment]
    headers: list[Header]
    header_timeout_s = contract.HEADER_TIMEOUT_S
    counted: Callable[[int], None] = staticmethod(lambda _: None)
    direct: DirectHandler | None = None
    _timer: asyncio.TimerHandle | None = None
    _in_headers = False
    _header_bytes = 0
    _refused = False
    _running: RequestResponseCycle | DirectCycle | None = None
    _direct_cycle: DirectCycle | None = None
    _fresh = True
    _client_ended = False
    _undecided = False
    _body = b""
    _turns = 0
    _active_at = 0.0

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
        """Parse, then see whether the headers or the body are still on their way."""
        if self._refused:
            return
        self._active_at = self.loop.time()
        self._turns = 0
        unfinished = self.headers if self._in_headers else None
        self._feed(data)
        if self._undecided:
            # Its body is not whole: a request of any size and pace, which ASGI is for.
            self._decide_for_asgi()
        if self.transport.is_closing() or self._refused:
            return
        if self._in_headers:
            self._header_bytes += len(data) if self.headers is unfinished else 0
            if self._header_bytes > contract.MAX_HEADER_BYTES:
                self._refuse_headers()
            elif self._timer is None:
                self._timer = self.loop.call_later(self.header_timeout_s, self._refuse_slow_headers)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError:
                if self._undecided:
                    self._decide_for_asgi()
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
        self._client_ended = True
        latest = self._unanswered
        cut_off = self._in_headers or (latest is not None and latest.more_body)
        if cut_off and not self._refused:
            self._refuse(400, "expected a whole request, found it cut off")
        if latest is None or latest.disconnected:
            return False
        latest.keep_alive = False
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for so long; requests do not touch the timer."""
        quiet_s = self.loop.time() - self._active_at
        if self._in_headers or self._unanswered is not None:
            quiet_s = 0.0
        if quiet_s >= self.timeout_keep_alive:
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive - quiet_s, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """The next request of the pipeline, if one waits; idle from now on if not."""
        self._active_at = self.loop.time()
        super().on_response_complete()

    def _on_direct_answer(self) -> None:
        """The same without ASGI; the keep-alive timer looks by itself."""
        self._active_at = self.loop.time()
        self.server_state.total_requests += 1
        if self.pipeline and not self.transport.is_closing():
            self._start_asgi_task(*self.pipeline.pop())

    def on_message_begin(self) -> None:
        """The first byte of a request. What ASGI is told of it is made when ASGI is asked."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._fresh = False
        self._in_headers = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        """The last byte of the headers."""
        self._in_headers = False
        self._unset_timer()
        self._header_bytes = len(self.url) + sum([len(one) + len(two) for one, two in self.headers])
        if self._header_bytes > contract.MAX_HEADER_BYTES:
            raise ValueError("headers too large")
        if self._may_be_direct:
            self._undecided = True
            self._body = b""
        elif not self._declines_upgrade:
            self._tell_asgi()

    @property
    def _may_be_direct(self) -> bool:
        """Whether this request may do without ASGI: a plain POST, with nothing before it."""
        return (
            self.direct is not None
            and (self.cycle is None or self.cycle.response_complete)
            and self._turns < _DIRECT_TURNS
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
        )

    def _tell_asgi(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        self.scope[GONE] = self._is_gone  # type: ignore[literal-required]
        super().on_headers_complete()

    def _decide_for_asgi(self) -> None:
        self._undecided = False
        self._tell_asgi()
        if self._body:
            super().on_body(self._body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Some of the body, or all of it."""
        if self._undecided:
            self._body = self._body + body if self._body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if self._undecided:
            self._go_directly()
        elif not self._declines_upgrade:
            super().on_message_complete()

    def _go_directly(self) -> None:
        arrived = Arrived(self.url, self.headers, self._body, self.client, self._is_gone)
        answer = self.direct(arrived) if self.direct is not None else None
        if answer is None:
            self._decide_for_asgi()
            super().on_message_complete()
            return
        self._undecided = False
        if isinstance(answer, Answer):
            self._turns += 1
            self.server_state.total_requests += 1
            self.transport.write(answer.data)
            if answer.close:
                self.transport.close()
            return
        cycle = self._direct_cycle
        if cycle is None:
            cycle = self._direct_cycle = DirectCycle(self.transport, self._on_direct_answer)
        cycle.begin()
        self.cycle = self._running = cycle
        answer.deliver = cycle.deliver

    def _is_gone(self) -> bool:
        return self._client_ended or self.transport.is_closing()

    @property
    def awaits_request(self) -> bool:
        """Whether a request has begun, or is likely to be on the way."""
        if self._refused:
            return False
        busy = self.loop.time() - self._active_at < _BUSY_S
        return self._fresh or self._in_headers or (busy and self._unanswered is None)

    def shutdown(self) -> None:
        """Close, once what the client has sent so far is answered."""
        # A close over bytes that nobody has read is a reset: those are a request to answer.
        if self._unanswered is not None or not self._has_unread_bytes:
            super().shutdown()

    @property
    def _has_unread_bytes(self) -> bool:
        sock = self.transport.get_extra_info("socket")
        (waiting,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)))
        return bool(waiting)

    @property
    def _unanswered(self) -> RequestResponseCycle | DirectCycle | None:
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
