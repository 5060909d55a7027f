"""The one listening socket that supervisor and workers share, and how it is closed."""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack

from boxship.errors import AddressError

logger = logging.getLogger("boxship.listener")

MOST_AT_ONCE = 64
"""Connections that are taken in a row while others wait for their turn."""

_BACKLOG = 2048
_SO_BINDTOIFINDEX = 62
_NO_INTERFACE = 2**31 - 1
_RESOURCE_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RETRY_S = 0.1
_YIELD_S = 0.002


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host:port``; raises ``AddressError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        try:
            sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # "::" takes IPv4 as well: one address for a dual-stack cluster.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind((host, port))
            sock.listen(_BACKLOG)
        except (OSError, TypeError) as error:
            # TypeError: a host that is no name, such as one with an overlong label.
            reason = getattr(error, "strerror", None) or error
            raise AddressError(
                f"Cannot listen on {host}:{port}: {reason}.",
                tip="Choose another address with --port (or PORT) and --host, or end what uses it.",
            ) from None
        sock.setblocking(False)
        stack.pop_all()
    return sock


def refuse_new_connections(sock: socket.socket) -> bool:
    """Let no further connection into the socket's queue; True where the system can.

    Closing a listening socket resets every connection in its queue, and between
    the last ``accept`` and the close another may have come. Bound to an interface
    that does not exist, the socket refuses new ones at once and still hands out
    what waits. One call holds for every process that shares the socket.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)
    except OSError as error:
        # Linux before 5.7 asks for a privilege: then a connection may be lost, as anywhere.
        logger.debug("new connections cannot be refused: %s", error.strerror)
        return False
    return True


class Acceptor:
    """Takes connections from a shared listening socket, a few at a time.

    ``yields`` tells whether another process should have the next connection; it
    gets a moment to take it. ``accepted`` hears how many connections are being made.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        yields: Callable[[], bool] = lambda: False,
        accepted: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._sock = sock
        self._protocol_factory = protocol_factory
        self._yields = yields
        self._accepted = accepted
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self.accepting = False

    def resume(self) -> None:
        """Accept from now on, unless the socket was given up."""
        if not self.accepting and self._sock.fileno() >= 0:
            self.accepting = True
            self._loop.add_reader(self._sock, self._on_readable)

    def pause(self) -> None:
        """Leave new connections to the other processes that hold the socket."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self.accepting:
            self.accepting = False
            self._loop.remove_reader(self._sock)

    def _on_readable(self) -> None:
        for _ in range(MOST_AT_ONCE):
            if self._yields():
                self._rest(_YIELD_S, self._take_turn)
                break
            if not self._accept_one():
                break

    def _take_turn(self) -> None:
        """Nobody may have wanted it: a connection never waits for longer than one yield."""
        self.resume()
        self._accept_one()

    def _rest(self, seconds: float, then: Callable[[], object]) -> None:
        self.pause()
        self._pause = self._loop.call_later(seconds, then)

    async def close(self, *, take_waiting: bool = True) -> None:
        """Give up the socket, after taking every connection that waits in its queue."""
        self.pause()
        while take_waiting and self._accept_one():
            pass
        self._sock.close()
        if self._handshakes:
            await asyncio.wait(self._handshakes)

    def _accept_one(self) -> bool:
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in _RESOURCE_ERRORS:
                raise
            # Out of file descriptors: what waits in the queue waits on.
            logger.warning("cannot accept a connection: %s", error.strerror)
            if self.accepting:
                self._rest(_RETRY_S, self.resume)
            return False
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(self._protocol_factory, connection)
        )
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)
        self._accepted(len(self._handshakes))
        return True
