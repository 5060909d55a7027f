"""What the supervisor answers while no worker is ready: probes, metrics, and 503 with a reason."""

import asyncio
from collections.abc import Callable

from boxship import contract
from boxship.serve import statuses
from boxship.serve.api import probes
from boxship.serve.lifecycle import State
from boxship.serve.messages import (
    BodyLimits,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    respond,
    tracing_headers,
)
from boxship.settings import ServeSettings


class Front:
    """The application before the application; it imports no model library and no numpy.

    Every answer closes its connection, so that the next request reaches a worker
    as soon as one is ready.
    """

    def __init__(self, state: Callable[[], State], settings: ServeSettings) -> None:
        self._state = state
        self._limits = BodyLimits(settings.max_body_size, settings.body_timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1013})
            return
        request = Request(scope, receive, self._limits)
        response = await self._answer(request)
        await request.discard()
        headers = tracing_headers(request, request.request_id())
        await respond(send, request, response, headers, close=True)

    async def _answer(self, request: Request) -> Response:
        path = request.path
        if request.method in ("GET", "HEAD"):
            if path == contract.HEALTH:
                return probes.health()
            if path == f"{contract.V2}/health/live":
                return probes.live()
            if path == contract.METRICS:
                return await asyncio.to_thread(probes.metrics_page)
        return _unready(self._state(), path)


def _unready(state: State, path: str) -> Response:
    if path == contract.READY:
        return probes.ready(state)
    if path == f"{contract.V2}/health/ready":
        return probes.server_ready(state)
    if state.ready:
        # The connection was opened before a worker was ready to take it.
        text = "this connection is older than the model; open another and send this again"
        return statuses.text_response(503, text, path, ((b"retry-after", b"0"),))
    return statuses.text_response(503, state.reason, path, probes.RETRY_LATER)
