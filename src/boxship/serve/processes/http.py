"""An HTTP server inside one process, on a listening socket that others share."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn

from boxship.serve.arrived import DirectHandler
from boxship.serve.processes.connection import LINGER_S, Connection
from boxship.serve.processes.listener import Acceptor
from boxship.settings import ServeSettings

_POLL_S = 0.01


class HttpServer:
    """An ASGI application on a shared listening socket, inside one process."""

    def __init__(
        self,
        app: Any,
        settings: ServeSettings,
        *,
        lifespan: bool = False,
        counted: Callable[[int], None] = lambda _: None,
        direct: DirectHandler | None = None,
    ) -> None:
        own = {
            "header_timeout_s": settings.header_timeout_s,
            "counted": staticmethod(counted),
            "direct": direct and staticmethod(direct),
        }
        self._counted = counted
        connection = type("Connection", (Connection,), own)
        config = uvicorn.Config(
            app,
            http=connection,
            # Not "on": an application that raises here has no start-up, by ASGI's rules.
            lifespan="auto" if lifespan else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]
            timeout_graceful_shutdown=settings.request_timeout_s,  # type: ignore[arg-type]
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._acceptor: Acceptor | None = None
        self._ticks: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run the application's start-up; raises ``SystemExit`` where that fails."""
        await self._server.startup(sockets=[])
        await self._server.on_tick(0)
        self._ticks = asyncio.create_task(self._server.main_loop())

    @property
    def app_state(self) -> Mapping[str, Any]:
        """What the application's start-up left for its requests."""
        state: Mapping[str, Any] = self._server.lifespan.state
        return state

    def accept(self, sock: socket.socket, yields: Callable[[], bool] = lambda: False) -> Acceptor:
        """Take connections from ``sock`` from now on, where ``yields`` leaves them to us."""
        self._acceptor = Acceptor(sock, self._connection, yields, self._count)
        self._acceptor.resume()
        return self._acceptor

    def pause(self) -> None:
        """Leave new connections to the others that share the socket."""
        if self._acceptor is not None:
            self._acceptor.pause()

    def _count(self, pending: int) -> None:
        """Connections that are only just being made count at once: several are taken in a row."""
        self._counted(len(self._server.server_state.connections) + pending)

    def _connection(self) -> asyncio.Protocol:
        config = self._server.config
        protocol: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
            config=config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        return protocol

    async def close(self, *, take_waiting: bool = True) -> None:
        """Answer what was sent and end; ``take_waiting`` says whether the socket's queue is ours."""
        if self._acceptor is not None:
            await self._acceptor.close(take_waiting=take_waiting)
        await self._answer_newcomers()
        self._server.should_exit = True
        await self._server.shutdown(sockets=[])
        if self._ticks is not None:
            self._ticks.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticks

    async def _answer_newcomers(self) -> None:
        """A client that has just connected gets a moment to send, and its answer."""
        deadline = asyncio.get_running_loop().time() + LINGER_S
        while asyncio.get_running_loop().time() < deadline and any(  # noqa: ASYNC110 (nobody tells)
            getattr(connection, "awaits_request", False)
            for connection in self._server.server_state.connections
        ):
            await asyncio.sleep(_POLL_S)
