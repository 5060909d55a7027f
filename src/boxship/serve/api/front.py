"""What the supervisor answers while no worker is ready: probes, metrics, and 503 with a reason."""

import asyncio
from collections.abc import Callable

from boxship import contract
from boxship.serve import statuses
from boxship.serve.lifecycle import Phase, State
from boxship.serve.messages import (
    BodyLimits,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    json_response,
    respond,
    tracing_headers,
)
from boxship.settings import ServeSettings

_RETRY_AFTER_S = 2


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
                return json_response(200, {"status": "ok"})
            if path == f"{contract.V2}/health/live":
                return json_response(200, {"live": True})
            if path == contract.METRICS:
                return await asyncio.to_thread(_metrics)
        state = self._state()
        return _late(path) if state.ready else _not_ready(state, path)


def _late(path: str) -> Response:
    """For a connection that was opened before a worker was ready to take it."""
    if path == contract.READY:
        return json_response(200, State(Phase.READY).body())
    if path == f"{contract.V2}/health/ready":
        return json_response(200, {"ready": True})
    text = "this connection is older than the model; open another and send the request again"
    return statuses.text_response(503, text, path, ((b"retry-after", b"0"),))


def _not_ready(state: State, path: str) -> Response:
    retry = ((b"retry-after", str(_RETRY_AFTER_S).encode()),)
    if path == contract.READY:
        return json_response(503, state.body(), retry)
    if path == f"{contract.V2}/health/ready":
        return json_response(503, {"ready": False}, retry)
    return statuses.text_response(503, state.reason, path, retry)


def _metrics() -> Response:
    # prometheus_client is imported with the first scrape: the probes need not wait for it.
    from boxship.serve import metrics

    body, content_type = metrics.render()
    return Response(200, body, content_type.encode())
