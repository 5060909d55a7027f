"""One slot of the server: a worker process while there is one, and what it has said."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from boxship import process
from boxship.serve.lifecycle import Phase, State
from boxship.serve.processes import channel, resources

_LONGEST_MESSAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class End:
    """How a worker ended: its exit code (negative: a signal), and its last words if it had any."""

    code: int
    failure: channel.Failed | None

    def __str__(self) -> str:
        if self.failure is not None:
            return self.failure.message
        if self.code < 0:
            with suppress(ValueError):
                return f"signal {signal.Signals(-self.code).name}"
        return f"exit code {self.code}"


def known(start: channel.Start) -> asyncio.Future[channel.Start]:
    """What a worker is to do, where that is known before its process starts."""
    found: asyncio.Future[channel.Start] = asyncio.get_running_loop().create_future()
    found.set_result(start)
    return found


class Child:
    """A place for one worker at a time.

    ``loaded`` is set once a worker was ready in it, ``retired`` where no other is to follow,
    ``trial`` where none is unless this one gets ready; ``kept`` ends when nothing follows.
    ``version`` is the model's.
    """

    def __init__(self, slot: int, on_change: Callable[["Child", channel.Message], None]) -> None:
        self.slot = slot
        self.state = State()
        self.ready = False
        self.loaded = asyncio.Event()
        self.retired = False
        self.trial = False
        self.kept: asyncio.Future[None] | None = None
        self.version = ""
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def serving(self) -> bool:
        """Whether its worker takes connections, and goes on to."""
        return self.ready and not self.retired

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None

    async def run(self, start: asyncio.Future[channel.Start], listener: int, table: int) -> End:
        """Start a worker on two shared file descriptors and follow what it says until it ends.

        ``start`` is what it is to do, which may be known only while the process starts.
        """
        ours, theirs = socket.socketpair()
        fds = (theirs.fileno(), listener, table)
        argv = [sys.executable, "-m", "boxship.serve.processes.worker"]
        argv += map(str, (*fds, os.getpid()))
        environ = dict(os.environ)
        if start.done():
            environ |= resources.thread_environment(start.result().threads)
        with ours:
            try:
                worker = self._process = await process.start(argv, environ=environ, pass_fds=fds)
            finally:
                theirs.close()
            self.state = State()
            try:
                return End(*await self._served(worker, start, ours))
            finally:
                self.kill()
                await worker.wait()
                self._process, self.ready = None, False

    async def _served(
        self,
        worker: asyncio.subprocess.Process,
        start: asyncio.Future[channel.Start],
        control: socket.socket,
    ) -> tuple[int, channel.Failed | None]:
        """The worker's exit code, and its last words if it had any."""
        ended = asyncio.ensure_future(worker.wait())
        either: set[asyncio.Future[Any]] = {start, ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            return await ended, None
        reader, self._writer = await asyncio.open_connection(
            sock=control, limit=_LONGEST_MESSAGE_BYTES
        )
        try:
            self.version = start.result().version
            self.tell(msgspec.structs.replace(start.result(), slot=self.slot))
            self.state = State(Phase.LOAD)
            failure = await self._follow(reader)
            return await ended, failure
        finally:
            self._writer.close()
            self._writer = None

    async def _follow(self, reader: asyncio.StreamReader) -> channel.Failed | None:
        failure = None
        with suppress(ConnectionResetError):
            while line := await reader.readline():
                message = channel.decode(line)
                if isinstance(message, channel.Progress):
                    self.state = State(message.phase, message.detail)
                elif isinstance(message, channel.Loaded):
                    self.state, self.ready = State(Phase.READY), True
                    self.loaded.set()
                elif isinstance(message, channel.Failed):
                    failure = message
                self._on_change(self, message)
        return failure

    def tell(self, message: channel.Message) -> None:
        """Say something to the worker, if there is one."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(channel.encode(message))

    def kill(self) -> None:
        """End the worker at once, if there is one."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> None:
        """Return once there is no process."""
        if self._process is not None:
            await self._process.wait()
