"""One request that waits for its answer without ASGI."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from boxship.serve.arrived import Answer


class DirectCycle:
    """What uvicorn's connection asks of a request under way, and the writing of its answer.

    The names are those of ``RequestResponseCycle``. The request is whole, and its answer
    is written in one piece.
    """

    more_body = False
    response_started = False
    body = b""

    def __init__(self, transport: asyncio.Transport, on_response: Callable[[], None]) -> None:
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = asyncio.Event()
        self._transport = transport
        self._on_response = on_response

    async def run(self, answering: Coroutine[Any, Any, Answer]) -> None:
        """Write the answer once it is there; nobody reads it where the client has gone."""
        answer = await answering
        self.response_complete = True
        if self.disconnected or self._transport.is_closing():
            return
        self._transport.write(answer.data)
        if answer.close or not self.keep_alive:
            self._transport.close()
        self._on_response()
