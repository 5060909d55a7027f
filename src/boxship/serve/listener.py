"""The one listening socket that supervisor and workers share, and how it is closed."""

import asyncio
import ctypes
import errno
import logging
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import ExitStack

from boxship.errors import AddressError

logger = logging.getLogger("boxship.listener")

_BACKLOG = 2048
_SO_ATTACH_FILTER = 26
# A classic BPF program over the TCP header: drop what opens a connection, let the
# rest pass. ldb [13] (flags); jset #SYN, drop, keep; drop: ret 0; keep: ret all.
_DROP_SYN = (
    (0x30, 0, 0, 13),
    (0x45, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)
_RESOURCE_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RETRY_S = 0.1


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
    """Drop the packets that would open further connections; True where the system can.

    Closing a listening socket resets every connection in its queue, and between
    the last ``accept`` and the close another may have come. With the filter none
    comes: its client's handshake stays open for a second and is then refused,
    before anything was sent.
    """
    if not sys.platform.startswith("linux"):
        return False
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _DROP_SYN)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(_DROP_SYN), ctypes.addressof(buffer))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)
    except OSError as error:
        logger.warning("the listening socket takes no filter (%s)", error.strerror)
        return False
    return True


class Acceptor:
    """Takes connections from a shared listening socket, one per wake-up.

    One, so that a burst of connections spreads over all workers that wait for
    them, instead of going to whichever woke up first.
    """

    def __init__(
        self, sock: socket.socket, protocol_factory: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._sock = sock
        self._protocol_factory = protocol_factory
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[object]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self.accepting = False

    def resume(self) -> None:
        """Accept from now on."""
        if not self.accepting:
            self.accepting = True
            self._loop.add_reader(self._sock, self._accept_one)

    def pause(self) -> None:
        """Leave new connections to the other processes that hold the socket."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self.accepting:
            self.accepting = False
            self._loop.remove_reader(self._sock)

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
                self.pause()
                self._retry = self._loop.call_later(_RETRY_S, self.resume)
            return False
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(self._protocol_factory, connection)
        )
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)
        return True
