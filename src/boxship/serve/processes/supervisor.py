"""The parent process: it owns the listening socket and keeps the workers running.

It imports no model library, so it answers the probes from its first second; a
worker accepts from the shared socket only once its model is ready.
"""

import asyncio
import itertools
import logging
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from boxship import contract
from boxship.artifact.fetch import Fetched
from boxship.errors import EXIT_FAILURE, BoxshipError
from boxship.project import Project
from boxship.serve import logs
from boxship.serve.api.front import Front
from boxship.serve.lifecycle import Phase, State
from boxship.serve.processes import channel, resources
from boxship.serve.processes.bringing import Bringing, Brought
from boxship.serve.processes.child import Child, known
from boxship.serve.processes.http import HttpServer
from boxship.serve.processes.listener import refuse_new_connections
from boxship.serve.processes.outcome import Outcome, stillborn
from boxship.serve.processes.reloading import Reloading
from boxship.serve.processes.spread import ConnectionTable

logger = logging.getLogger("boxship.serve")

_HEAD_START_S = 1.0
"""So long the first worker loads alone."""

_STEADY_S = 60.0
"""A worker that lived this long did not die of what killed the one before it."""

_PATIENCE_S = 900.0
"""A new worker that takes longer to get ready than this is no good, whatever it loads."""

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
_HANDSHAKE_S = 0.05
_VERSION_LENGTH = 12


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
        self._tasks: set[asyncio.Task[Any]] = set()
        self._draining = False
        self._reload_failure = ""
        self._threads = 1
        self._bringing = Bringing(project, self._set_state, self._count_fetch)
        self._reloading = Reloading(self, self._bringing, project.serve)
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
        if not _on_terminal():
            # There it says that the terminal has gone, and the server with it.
            loop.add_signal_handler(signal.SIGHUP, self._on_reload)
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

    def _set_state(self, state: State) -> None:
        self._state = state

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
        self._hold(self._children[0])
        # Only now: the socket listens before the import.
        from boxship.serve import metrics

        metrics.prepare(self._metrics_folder, "supervisor")
        self._counters, self._forget = metrics.ServerMetrics(), metrics.forget
        brought = await self._bringing.bring()
        self._state = State(Phase.LOAD)
        wanted = self._settings.workers
        allotment = resources.allot(
            resources.read_resources(),
            workers=None if wanted == "auto" else int(wanted),
            model_bytes=brought.model.size,
            shared_model=brought.model.shared,
        )
        for reason in allotment.reasons:
            logger.info(reason)
        others = [Child(slot, self._heard) for slot in range(1, allotment.workers)]
        self._children += others
        self._threads = allotment.threads
        self._start.set_result(self.order(brought))
        # The first one has the processors to itself: the first answer comes sooner, and what
        # its warm-up measures is the model alone. One that takes long is not waited for.
        await asyncio.wait([self._ready_once], timeout=_HEAD_START_S)
        for child in others:
            self._hold(child)
        if self._settings.watch_s:
            self._spawn(self._reloading.watch(brought.identity, self._settings.watch_s))

    def _hold(self, child: Child) -> None:
        child.kept = self._spawn(self._keep(child))

    async def _keep(self, child: Child) -> None:
        """Run a worker in ``child``, and replace it when it dies.

        One on trial that never was ready is not replaced: the newer model is no good.
        """
        deaths, delay = 0, 0.0
        start = self._start
        while await self._may_start(child, delay):
            if deaths:
                again = await self._bringing.verified_again(start.result())
                if again is None:
                    delay = _LONGEST_DELAY_S
                    continue
                start = known(again)
            if child.retired:
                return
            started = monotonic()
            end = await child.run(start, self._sock.fileno(), self._table.fd)
            self._table.clear(child.slot)
            self._forget(str(child.slot))
            self._readiness_changed()
            if self._draining or child.retired:
                return
            if child.trial and not child.loaded.is_set():
                raise stillborn(child, end).error()
            if not self._ready_once.done():
                self._finish(stillborn(child, end))
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

    def _count_fetch(self, fetched: Fetched) -> None:
        self._counters.fetched(fetched.read_bytes, fetched.seconds)

    def _on_reload(self) -> None:
        if not self._ready_once.done() or self._draining:
            logger.warning("no reload: the server is not ready")
        else:
            self._spawn(self._reloading.reload())

    def order(self, brought: Brought) -> channel.Start:
        """What workers are to do with what was brought."""
        digest = brought.model.digest
        return channel.Start(
            project=brought.project,
            slot=0,
            threads=self._threads,
            digest=digest,
            stamp=brought.model.stamp,
            version=self._project.version
            or digest.removeprefix("sha256:")[:_VERSION_LENGTH]
            or "1",
            metrics=self._metrics_folder,
        )

    def use(self, start: channel.Start) -> None:
        """Have workers that are kept from now on do this."""
        self._start = known(start)

    def in_use(self) -> channel.Start:
        """What workers are kept for."""
        return self._start.result()

    async def add(self, *, trial: bool) -> Child | None:
        """One more worker, once it is ready; None where the server drains meanwhile.

        On ``trial`` its failure is raised, else it is kept alive like any other. Raises
        ``BoxshipError`` too where the model has changed again, or it takes forever.
        """
        if not trial:
            again = await self._bringing.verified_again(self.in_use())
            if again is None:
                raise BoxshipError("The model was replaced again while it took over.")
            self.use(again)
        taken = {child.slot for child in self._children}
        new = Child(next(slot for slot in itertools.count() if slot not in taken), self._heard)
        new.trial = trial
        self._children.append(new)
        kept = new.kept = asyncio.create_task(self._keep(new))
        loaded = asyncio.ensure_future(new.loaded.wait())
        either: set[asyncio.Future[Any]] = {kept, loaded}
        done, _ = await asyncio.wait(
            either, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        loaded.cancel()
        if not new.ready:
            new.retired = True
            new.kill()
            await asyncio.wait({kept})
            self._children.remove(new)
            if not done:
                raise BoxshipError(f"The new worker was not ready within {_PATIENCE_S:g} s.")
            kept.result()
            if self._draining:
                return None
            raise BoxshipError("The new worker died as soon as it was ready.")
        new.trial = False
        self._tasks.add(kept)
        kept.add_done_callback(self._after)
        return new

    def retired(self) -> None:
        """A worker is about to go: it no longer counts."""
        self._readiness_changed()

    async def forget(self, old: Child) -> None:
        """A worker has gone for good, once nothing follows it."""
        if old.kept is not None:
            await asyncio.wait({old.kept})
        if not self._draining:
            self._children.remove(old)
            self._readiness_changed()

    @property
    def workers(self) -> Sequence[Child]:
        """Those that there are now."""
        return tuple(self._children)

    @property
    def draining(self) -> bool:
        """Whether the server is about to end."""
        return self._draining

    def reloaded(self, failure: str) -> None:
        """Count what came of a reload, and say it to whoever asks: "" where nothing failed."""
        self._counters.reloaded(succeeded=not failure)
        self.tell_failure(failure)

    def tell_failure(self, failure: str) -> None:
        """Have ``/ready`` say why the newest model is not served; "" where it is."""
        self._reload_failure = failure
        for child in self._children:
            child.tell(channel.ReloadFailed(failure))

    async def _may_start(self, child: Child, delay_s: float) -> bool:
        """Whether a worker is still wanted in ``child`` after ``delay_s``."""
        await asyncio.sleep(delay_s)
        return not (self._draining or child.retired)

    def _heard(self, child: Child, message: channel.Message) -> None:
        """A worker has said something."""
        starts = isinstance(message, channel.Progress | channel.Loaded)
        if (self._draining and not child.ready) or (child.retired and starts):
            # It was being started when the signal came, or another took its place.
            child.kill()
            return
        if isinstance(message, channel.Progress) and message.detail:
            logger.error(message.detail)
            if child.trial:
                # It would stay to be looked at; the old ones serve meanwhile.
                child.kill()
        if isinstance(message, channel.Loaded):
            child.tell(channel.Accept())
            if self._reload_failure:
                child.tell(channel.ReloadFailed(self._reload_failure))
            if not self._ready_once.done() or child.trial:
                for note in message.notes:
                    logger.info(note)
            if not self._ready_once.done():
                self._ready_once.set_result(None)
            self._readiness_changed()
            ready = sum(other.ready for other in self._children)
            logs.log(
                logger,
                logging.INFO,
                "ready",
                slot=child.slot,
                model=self._project.name,
                version=child.version,
                runtime=message.runtime,
                workers=f"{ready}/{len(self._children)}",
                load_s=round(message.load_s, 3),
                since_start_s=round(monotonic() - self._began, 3),
            )

    def _readiness_changed(self) -> None:
        """Accept here exactly while no worker does."""
        ready = sum(child.serving for child in self._children)
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
        hurried = number == signal.SIGINT and _on_terminal()
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

    def _spawn(self, work: Coroutine[None, None, object]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._after)
        return task

    def _after(self, task: asyncio.Task[Any]) -> None:
        """What ends a task of ours unexpectedly ends the server, in words."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, BoxshipError):
            self._finish(Outcome(error.exit_code, error.paragraph()))
        elif error is not None:
            logger.critical("the supervisor failed", exc_info=error)
            self._finish(Outcome(EXIT_FAILURE, f"The supervisor failed: {error!r}."))


def _on_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
