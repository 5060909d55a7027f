"""The parent process: it owns the listening socket and keeps the workers running.

It imports no model library, so it answers the probes from its first second; a
worker accepts from the shared socket only once its model is ready.
"""

import asyncio
import concurrent.futures
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TypeVar

from boxship import contract
from boxship.artifact import model_file
from boxship.artifact.cache import Cache, default_folder
from boxship.artifact.fetch import Fetch, Progress
from boxship.artifact.model_file import ModelFile
from boxship.errors import EXIT_FAILURE, BoxshipError
from boxship.location import Location
from boxship.project import Project
from boxship.serve import logs
from boxship.serve.api.front import Front
from boxship.serve.lifecycle import Phase, State
from boxship.serve.processes import channel, resources
from boxship.serve.processes.child import Child, End
from boxship.serve.processes.http import HttpServer
from boxship.serve.processes.listener import refuse_new_connections
from boxship.serve.processes.spread import ConnectionTable

logger = logging.getLogger("boxship.serve")

Found = TypeVar("Found")

_HEAD_START_S = 1.0
"""So long the first worker loads alone."""

_STEADY_S = 60.0
"""A worker that lived this long did not die of what killed the one before it."""

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
_HANDSHAKE_S = 0.05
_VERSION_LENGTH = 12


@dataclass(frozen=True)
class Outcome:
    """Why the server ended: its exit code, and one paragraph where something is wrong."""

    exit_code: int = 0
    message: str = ""


class Supervisor:
    """Runs one server from its first probe to its last answer."""

    def __init__(self, project: Project, sock: socket.socket, metrics_folder: Path) -> None:
        self._project = project
        self._settings = project.serve
        self._sock = sock
        self._metrics_folder = metrics_folder
        self._table = ConnectionTable.create()
        self._state = State(Phase.START)
        self._children: list[Child] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._tenths = 0
        self._began = monotonic()
        loop = asyncio.get_running_loop()
        self._start: asyncio.Future[channel.Start] = loop.create_future()
        self._ready_once: asyncio.Future[None] = loop.create_future()
        self._done: asyncio.Future[Outcome] = loop.create_future()
        self._front = HttpServer(Front(self._shown_state, self._settings), self._settings)

    async def run(self) -> Outcome:
        """Serve until a signal or a failure ends it."""
        await self._front.start()
        self._acceptor = self._front.accept(self._sock)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        self._spawn(self._bring_up())
        outcome = await self._done
        for child in self._children:
            child.kill()
        # A child that ends after the event loop is nobody's, and Python says so in the log.
        await asyncio.gather(*(child.ended() for child in self._children))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return outcome

    def _shown_state(self) -> State:
        """The state of the worker that has come furthest, else the supervisor's own."""
        if self._draining:
            return State(Phase.DRAINING)
        order = list(Phase)
        states = [child.state for child in self._children if child.running]
        return max([self._state, *states], key=lambda state: order.index(state.phase))

    async def _bring_up(self) -> None:
        """Verify the model's bytes, decide on workers, start them."""
        # The first worker's process starts while we read.
        self._children = [Child(0, self._heard)]
        self._spawn(self._keep(self._children[0]))
        # Only now: the socket listens before the import.
        from boxship.serve import metrics

        metrics.prepare(self._metrics_folder, "supervisor")
        self._counters, self._forget = metrics.ServerMetrics(), metrics.forget
        if self._project.source is not None:
            await self._fetch(self._project.source)
        self._state = State(Phase.VERIFY)
        where = self._project.model_path
        model = ModelFile()
        if where is not None:
            expected = self._project.model_digest
            model = await _in_background(
                lambda: model_file.examine(Path(where), self._verified, expected=expected)
            )
        self._state = State(Phase.LOAD)
        wanted = self._settings.workers
        allotment = resources.allot(
            resources.read_resources(),
            workers=None if wanted == "auto" else int(wanted),
            model_bytes=model.size,
            shared_model=model.shared,
        )
        for reason in allotment.reasons:
            logger.info(reason)
        others = [Child(slot, self._heard) for slot in range(1, allotment.workers)]
        self._children += others
        self._start.set_result(
            channel.Start(
                project=self._project,
                slot=0,
                threads=allotment.threads,
                digest=model.digest,
                version=self._version(model.digest),
                metrics=self._metrics_folder,
            )
        )
        # The first one has the processors to itself: the first answer comes sooner, and what
        # its warm-up measures is the model alone. One that takes long is not waited for.
        await asyncio.wait([self._ready_once], timeout=_HEAD_START_S)
        for child in others:
            self._spawn(self._keep(child))

    async def _fetch(self, source: Location) -> None:
        """Bring the model here, and go on as if it had always been."""
        self._state = State(Phase.FETCH)
        fetch = Fetch(
            cache=Cache(default_folder()), allow_http=self._settings.allow_http, told=self._fetched
        )
        found = await _in_background(lambda: fetch(source))
        self._counters.fetched(found.read_bytes, found.seconds)
        model = found.model
        logs.log(
            logger,
            logging.INFO,
            "model fetched" if found.read_bytes else "model found in the cache",
            source=str(source),
            digest=model.digest,
            bytes=model.size,
            seconds=round(found.seconds, 3),
        )
        self._project = replace(
            self._project, model_path=str(model.path), model_digest=model.digest, source=None
        )

    def _fetched(self, progress: Progress) -> None:
        self._state = State(Phase.FETCH, percent=progress.percent)
        if progress.percent // 10 > self._tenths:
            self._tenths = progress.percent // 10
            logger.info("fetched %s %% of %s bytes", 10 * self._tenths, progress.size)

    def _verified(self, percent: int) -> None:
        self._state = State(Phase.VERIFY, percent=percent)

    def _version(self, digest: str) -> str:
        return self._project.version or digest.removeprefix("sha256:")[:_VERSION_LENGTH] or "1"

    async def _keep(self, child: Child) -> None:
        """Run a worker in ``child``, and replace it when it dies."""
        deaths, delay = 0, 0.0
        while await self._may_start(delay):
            started = monotonic()
            end = await child.run(self._start, self._sock.fileno(), self._table.fd)
            self._table.clear(child.slot)
            self._forget(str(child.slot))
            self._readiness_changed()
            if self._draining:
                return
            if not self._ready_once.done():
                self._finish(_stillborn(child, end))
                return
            deaths = 1 if monotonic() - started > _STEADY_S else deaths + 1
            delay = min(_FIRST_DELAY_S * 2 ** (deaths - 1), _LONGEST_DELAY_S)
            self._counters.worker_restarted()
            logs.log(
                logger,
                logging.ERROR,
                "a worker died and is replaced",
                slot=child.slot,
                reason=str(end),
                delay_s=delay,
            )

    async def _may_start(self, delay_s: float) -> bool:
        """Whether a worker is still wanted after ``delay_s``."""
        await asyncio.sleep(delay_s)
        return not self._draining

    def _heard(self, child: Child, message: channel.Message) -> None:
        """A worker has said something."""
        if self._draining and not child.ready:
            # It was being started when the signal came.
            child.kill()
        if isinstance(message, channel.Progress) and message.detail:
            logger.error(message.detail)
        if isinstance(message, channel.Loaded):
            child.tell(channel.Accept())
            if not self._ready_once.done():
                self._ready_once.set_result(None)
                for note in message.notes:
                    logger.info(note)
            self._readiness_changed()
            ready = sum(other.ready for other in self._children)
            logs.log(
                logger,
                logging.INFO,
                "ready",
                slot=child.slot,
                model=self._project.name,
                version=self._start.result().version,
                runtime=message.runtime,
                workers=f"{ready}/{len(self._children)}",
                load_s=round(message.load_s, 3),
                since_start_s=round(monotonic() - self._began, 3),
            )

    def _readiness_changed(self) -> None:
        """Accept here exactly while no worker does."""
        ready = sum(child.ready for child in self._children)
        self._counters.workers(ready=ready, starting=len(self._children) - ready)
        self._counters.readiness(ready=bool(ready) and not self._draining)
        if ready:
            self._acceptor.pause()
        else:
            self._acceptor.resume()

    def _on_signal(self, number: int) -> None:
        if self._draining:
            logger.warning("second signal: ending at once")
            self._finish(Outcome(128 + number))
            return
        self._draining = True
        # On a terminal nobody balances load: Ctrl-C waits for nobody to take notice.
        hurried = number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty()
        self._spawn(self._drain(0.0 if hurried else self._settings.drain_delay_s))

    async def _drain(self, delay_s: float) -> None:
        """Unready at once; accept for ``delay_s`` more; finish what is in flight."""
        serving = [child for child in self._children if child.ready]
        logs.log(logger, logging.INFO, "draining", delay_s=delay_s, workers=len(serving))
        for child in self._children:
            if not child.ready:
                child.kill()
        for child in serving:
            child.tell(channel.Drain())
        if serving:
            self._readiness_changed()
            await asyncio.sleep(delay_s)
        refuse_new_connections(self._sock)
        # Handshakes that have begun end first.
        await asyncio.sleep(_HANDSHAKE_S)
        for child in serving:
            child.tell(channel.Close())
        # What waits in the socket's queue is the workers' to answer, if there are any.
        await self._front.close(take_waiting=not any(child.ready for child in serving))
        limit = self._settings.request_timeout_s + contract.TERMINATION_MARGIN_S / 2
        try:
            async with asyncio.timeout(limit):
                for child in serving:
                    await child.ended()
        except TimeoutError:
            logger.warning("some requests did not finish in time and are dropped")
        logger.info("drained")
        self._finish(Outcome())

    def _finish(self, outcome: Outcome) -> None:
        if not self._done.done():
            self._done.set_result(outcome)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._after)

    def _after(self, task: asyncio.Task[None]) -> None:
        """What ends a task of ours unexpectedly ends the server, in words."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, BoxshipError):
            self._finish(Outcome(error.exit_code, error.paragraph()))
        elif error is not None:
            logger.critical("the supervisor failed", exc_info=error)
            self._finish(Outcome(EXIT_FAILURE, f"The supervisor failed: {error!r}."))


async def _in_background(work: Callable[[], Found]) -> Found:
    """Like ``asyncio.to_thread``, but the end of the server does not wait for ``work``."""
    future: concurrent.futures.Future[Found] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 (raised again where it is awaited)
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)


def _stillborn(child: Child, end: End) -> Outcome:
    """A worker died before the server was ever ready."""
    if end.failure is not None:
        return Outcome(end.failure.exit_code, end.failure.message)
    why = "Its last log lines say more."
    if end.code == -signal.SIGKILL:
        why = "SIGKILL is usually the kernel's: the memory limit is too small for the model."
    return Outcome(
        EXIT_FAILURE, f"Worker {child.slot} died before the model was ready ({end}). {why}"
    )
