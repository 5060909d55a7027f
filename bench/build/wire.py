"""What is sent to the registry, counted on the way: both sides' bytes by one measure."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_PIECE = 1 << 18


class Wire:
    """Stands before a registry. ``sent`` counts every byte to it, requests and headers included."""

    def __init__(self, registry: str) -> None:
        host, _, port = registry.rpartition(":")
        self._registry = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.sent = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._registry)
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for source, target in ((client, server), (server, client)):
                    pumping = (source, target, source is client)
                    threading.Thread(target=self._pump, args=pumping, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if counted:
                    with self._lock:
                        self.sent += len(piece)
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
