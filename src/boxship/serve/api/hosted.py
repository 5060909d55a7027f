"""A user's own ASGI application, with the probes, metrics and drain that it lacks."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any

from boxship import contract
from boxship.serve import logs, metrics
from boxship.serve.api import probes
from boxship.serve.api.observer import CLIENT_GONE, Asked, Identity, Observer
from boxship.serve.lifecycle import Phase, State
from boxship.serve.messages import (
    BodyLimits,
    Header,
    Receive,
    Request,
    Scope,
    Send,
    respond,
    tracing_headers,
)
from boxship.settings import ServeSettings

logger = logging.getLogger("boxship.serve")

_OURS = (contract.HEALTH, contract.READY, contract.METRICS)
_ASK_S = 5.0


class HostedApp:
    """Passes every request on, except for probes and metrics that the application lacks.

    While it drains, ``/ready`` says so whoever defines it, and every answer closes
    its connection.
    """

    def __init__(
        self,
        app: Any,
        identity: Identity,
        settings: ServeSettings,
        *,
        counters: metrics.ServerMetrics,
    ) -> None:
        self._state = State(Phase.READY)
        self._app = app
        self._identity = identity
        self._limits = BodyLimits(settings.max_body_size, settings.body_timeout_s)
        self._observer = Observer(identity, settings, counters)
        self._ours: frozenset[str] = frozenset()

    def drain(self) -> None:
        """Say unready, and close each connection with its next answer."""
        self._state = State(Phase.DRAINING)

    def retire(self) -> None:
        """Close each connection with its next answer: another worker has taken this one's place."""
        self._state = State(Phase.RETIRED)

    def reload_failed(self, detail: str) -> None:
        """Say so to whoever asks whether the server is ready, which it is."""
        self._state = replace(self._state, reload_failure=detail)

    async def find_routes(self, state: Mapping[str, Any]) -> None:
        """Ask the application once for each path of ours; a 404 or 405 means that it has none.

        The application is asked and not inspected, so that any framework will do. One
        that answers any path has ours only where it says that the route is that path.
        ``state`` is what its lifespan left for its requests.
        """
        answers_all = (await self._ask(f"/{secrets.token_hex(16)}", state)).found
        asked = {path: await self._ask(path, state) for path in _OURS}
        own = [
            path
            for path, answer in asked.items()
            if answer.found and (not answers_all or answer.route == path)
        ]
        self._ours = frozenset(_OURS) - frozenset(own)
        if own:
            logs.log(logger, logging.INFO, "the application's own routes stay", paths=own)

    async def _ask(self, path: str, state: Mapping[str, Any]) -> "_Asked":
        status = 0
        asked = False

        async def receive() -> MutableMapping[str, Any]:
            nonlocal asked
            if asked:
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", contract.PORT),
            "state": dict(state),
        }
        try:
            async with asyncio.timeout(_ASK_S):
                await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 (the user's code raises what it likes)
            # It has the route, if a broken one: the user's to see.
            logs.log(
                logger, logging.WARNING, "the application failed", path=path, error=repr(error)
            )
        return _Asked(status not in (404, 405), _label(scope))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one WebSocket, or the application's lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        draining = self._state.phase is Phase.DRAINING
        if path in self._ours or (draining and path == contract.READY):
            await self._answer(Request(scope, receive, self._limits), send)
            return
        await self._pass_on(scope, receive, send)

    async def _answer(self, request: Request, send: Send) -> None:
        if request.path == contract.METRICS:
            self._observer.flush()
            response = probes.metrics_page()
        elif request.path == contract.HEALTH:
            response = probes.health()
        else:
            response = probes.ready(self._state)
        close = self._state.closing
        headers = tracing_headers(request, request.request_id())
        await respond(send, request, response, headers, close=close)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._observer.began()
        request = Request(scope, receive, self._limits)
        request.model = self._identity.name
        request_id = request.request_id()
        exchange = _Exchange(receive, send, partial(self._with_ours, request, request_id))
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if not exchange.complete:
                raise
            # It has its answer, such as a framework's own 500; the connection has others to come.
            logs.log(
                logger,
                logging.ERROR,
                "the application failed",
                exc_info=error,
                path=request.path,
                request_id=request_id,
            )
        finally:
            asked = Asked(
                request.method,
                _label(scope),
                request.path,
                request_id,
                request.trace_id(),
                request.model,
                0,
                scope.get("client"),
            )
            self._observer.ended(asked, exchange.status, monotonic() - request.since)

    def _with_ours(self, request: Request, request_id: str, headers: list[Header]) -> list[Header]:
        given = {name.lower() for name, _ in headers}
        ours = tracing_headers(request, request_id)
        ours.append((contract.MODEL_VERSION_HEADER.encode(), self._identity.version.encode()))
        headers += [header for header in ours if header[0] not in given]
        if self._state.closing:
            headers = [header for header in headers if header[0].lower() != b"connection"]
            headers.append((b"connection", b"close"))
        return headers


@dataclass(frozen=True)
class _Asked:
    """Whether the application has something at a path, and the route that it says answered."""

    found: bool
    route: str


@dataclass
class _Exchange:
    """What passes between the server and the application for one request."""

    receiving: Receive
    sending: Send
    with_ours: Callable[[list[Header]], list[Header]]
    status: int = 500
    started: bool = False
    complete: bool = False

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self.receiving()
        if message["type"] == "http.disconnect" and not self.started:
            self.status = CLIENT_GONE
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if self.status != CLIENT_GONE:
                self.status = message["status"]
            message["headers"] = self.with_ours(list(message.get("headers", ())))
        await self.sending(message)
        if message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)


def _label(scope: Scope) -> str:
    """The route's template where the framework says it, never the path: it is the client's."""
    return str(getattr(scope.get("route"), "path", None) or "other")
