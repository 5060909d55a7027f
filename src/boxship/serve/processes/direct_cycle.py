"""The request of a connection that waits for its answer without ASGI."""

import asyncio
from collections.abc import Callable


class _NobodyWaits:
    """In the place of an event: what is to come of the request has come."""

    def set(self) -> None:
        """Wake nobody."""


class DirectCycle:
    """What uvicorn's connection asks of a request under way, and the writing of its answer.

    The names are those of ``RequestResponseCycle``. The request is whole, and its answer
    is written in one piece. One at a time: a connection's next request ``begin``s it again.
    """

    __slots__ = ("_on_response", "_transport", "disconnected", "keep_alive", "response_complete")

    more_body = False
    response_started = False
    body = b""
    message_event = _NobodyWaits()

    def __init__(self, transport: asyncio.Transport, on_response: Callable[[], None]) -> None:
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = True
        self._transport = transport
        self._on_response = on_response

    def begin(self) -> None:
        """A request waits."""
        self.response_complete = False

    def deliver(self, data: bytes, close: bool) -> None:  # noqa: FBT001 (an Answer's fields)
        """Write the answer; nobody reads it where the client has gone."""
        self.response_complete = True
        if self.disconnected or self._transport.is_closing():
            return
        self._transport.write(data)
        if close or not self.keep_alive:
            self._transport.close()
        self._on_response()
