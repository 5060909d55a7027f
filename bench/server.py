"""One started server: from its first instruction to its end."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import processes
from lineup import THREADS, Peer
from payload import Payload
from places import ARTIFACTS, FOLDER, LOGS, binaries

READY_WITHIN_S = 60.0
_POLL_S = 0.01


class ServerFailedError(Exception):
    """A server that did not become ready, or answered wrongly."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Running:
    """A server under way, ready once the ``with`` block is entered."""

    def __init__(self, peer: Peer, model: str, payload: Payload) -> None:
        self.peer, self.payload = peer, payload
        self._model = model
        self.ready_s = 0.0
        self.stopped_itself = True

    def __enter__(self) -> Self:
        peer = self.peer
        self.port, *others = free_ports(3)
        folder = FOLDER / "run" / peer.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        LOGS.mkdir(exist_ok=True)
        model = str(ARTIFACTS / f"{self._model}{peer.suffix}") if peer.suffix else ""
        names = {"port": str(self.port), "port1": str(others[0]), "port2": str(others[1])}
        names |= {"model": model, "folder": str(folder), "peer": str(peer.folder)}
        names["bin"] = str(binaries(peer.environment)) if peer.environment else ""
        peer.prepare(folder, self.port, model)
        environ = {name: value for name, value in os.environ.items() if name in _KEPT}
        environ |= THREADS | {"MODEL_PATH": model}
        environ |= {name: value.format(**names) for name, value in peer.environ.items()}
        self._log = LOGS / f"{peer.name}-{self._model}.log"
        with self._log.open("wb") as log:
            began = time.perf_counter()
            self.process = subprocess.Popen(
                [part.format(**names) for part in peer.argv],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait(began)
        except BaseException:
            processes.stop(self.process)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopped_itself = processes.stop(self.process)

    def _wait(self, began: float) -> None:
        """Until the first right answer, which is what a load balancer waits for."""
        status, answer = 0, b""
        while time.perf_counter() < began + READY_WITHIN_S:
            if self.process.poll() is not None:
                code = self.process.returncode
                raise ServerFailedError(f"{self.peer.name} ended with {code}; see {_at(self._log)}")
            try:
                status, answer = self.ask(0, timeout_s=10)
            except (OSError, http.client.HTTPException):
                time.sleep(_POLL_S)
                continue
            if status == 200:
                self.ready_s = time.perf_counter() - began
                if not self.payload.is_right(0, answer):
                    raise ServerFailedError(f"{self.peer.name} answered {answer[:200]!r}")
                return
            time.sleep(_POLL_S)
        found = f"the last answer was {status} {answer[:200]!r}; see {_at(self._log)}"
        raise ServerFailedError(f"{self.peer.name} was not ready in {READY_WITHIN_S:g} s, {found}")

    def ask(self, index: int, *, timeout_s: float = 30) -> tuple[int, bytes]:
        """Send one of the payload's bodies on a new connection: status, answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            payload = self.payload
            connection.request("POST", payload.path, payload.bodies[index], payload.headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask_each(self) -> int:
        """Send every body once; how many answers were wrong."""
        wrong = 0
        for index in range(len(self.payload.bodies)):
            status, answer = self.ask(index)
            wrong += status != 200 or not self.payload.is_right(index, answer)
        return wrong

    def memory_mb(self) -> float:
        """Proportional set size of all its processes."""
        return processes.pss_mb(self.process.pid)


_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


def _at(path: Path) -> str:
    return str(path.relative_to(FOLDER.parent))
