"""The parent process: it owns the listening socket and keeps the workers running.

It imports no model library, so it answers the probes from its first second; a
worker accepts from the shared socket only once its model is ready.
"""

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from boxship import contract, process
from boxship.artifact.digest import digest as digest_of
from boxship.errors import EXIT_FAILURE, BoxshipError, ModelError
from boxship.project import Project
from boxship.serve import channel, logs, resources
from boxship.serve.front import Front
from boxship.serve.http import HttpServer
from boxship.serve.lifecycle import Phase, State
from boxship.serve.listener import listen, refuse_new_connections

logger = logging.getLogger("boxship.serve")

_STEADY_S = 60.0
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
_VERSION_LENGTH = 12


@dataclass(eq=False)
class Worker:
    """One slot: a child process while there is one, and what is known of it."""

    slot: int
    process: asyncio.subprocess.Process | None = None
    writer: asyncio.StreamWriter | None = None
    ready: bool = False
    state: State = field(default_factory=State)
    failure: channel.Failed | None = None
    deaths: int = 0


@dataclass(frozen=True)
class Outcome:
    """Why the server ended."""

    exit_code: int = 0
    message: str = ""


class Supervisor:
    """Runs one server from its first probe to its last answer."""

    def __init__(self, project: Project, sock: socket.socket, metrics_folder: Path) -> None:
        self._project = project
        self._settings = project.serve
        self._sock = sock
        self._metrics = metrics_folder
        self._state = State(Phase.START)
        self._workers: list[Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._start: channel.Start | None = None
        self._was_ready = False
        self._draining = False
        self._done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._front = HttpServer(Front(self._shown_state, self._settings), self._settings)
        self._began = monotonic()

    async def run(self) -> Outcome:
        """Serve until a signal or a failure ends it."""
        await self._front.start()
        self._acceptor = self._front.accept(self._sock)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        self._spawn(self._bring_up())
        outcome = await self._done
        for task in self._tasks:
            task.cancel()
        for worker in self._workers:
            if worker.process is not None and worker.process.returncode is None:
                worker.process.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return outcome

    def _shown_state(self) -> State:
        """The state of the worker that has come furthest, else the supervisor's own."""
        if self._draining:
            return State(Phase.DRAINING)
        order = list(Phase)
        states = [worker.state for worker in self._workers if worker.process is not None]
        return max([self._state, *states], key=lambda state: order.index(state.phase))

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        if isinstance(error, BoxshipError):
            self._end(Outcome(error.exit_code, error.paragraph()))
        else:
            logger.critical("the supervisor failed", exc_info=error)
            self._end(Outcome(EXIT_FAILURE, f"The supervisor failed: {error!r}."))

    def _end(self, outcome: Outcome) -> None:
        if not self._done.done():
            self._done.set_result(outcome)

    async def _bring_up(self) -> None:
        """Verify the model's bytes, decide on workers, start them."""
        self._state = State(Phase.VERIFY)
        digest, size = "", 0
        if self._project.model_path is not None:
            path = Path(self._project.model_path)
            digest, size = await asyncio.to_thread(_verified, path)
        self._state = State(Phase.LOAD)
        from boxship.serve import metrics  # noqa: PLC0415 (after the first probe, not before)

        metrics.prepare(self._metrics, "supervisor")
        self._counters, self._forget = metrics.ServerMetrics(), metrics.forget
        wanted = self._settings.workers
        allotment = resources.allot(
            resources.read_resources(),
            workers=None if wanted == "auto" else int(wanted),
            model_bytes=size,
        )
        for reason in allotment.reasons:
            logger.info(reason)
        version = self._project.version or digest.removeprefix("sha256:")[:_VERSION_LENGTH] or "1"
        self._start = channel.Start(
            project=self._project,
            slot=0,
            threads=allotment.threads,
            digest=digest,
            version=version,
            metrics=self._metrics,
        )
        self._workers = [Worker(slot) for slot in range(allotment.workers)]
        for worker in self._workers:
            self._spawn(self._keep(worker))

    async def _keep(self, worker: Worker) -> None:
        """Start a worker, watch it, and replace it when it dies."""
        while True:
            started = monotonic()
            code = await self._run_worker(worker)
            if self._draining:
                return
            if not self._was_ready:
                self._end(self._stillborn(worker, code))
                return
            worker.deaths = 1 if monotonic() - started > _STEADY_S else worker.deaths + 1
            delay = min(_FIRST_DELAY_S * 2 ** (worker.deaths - 1), _LONGEST_DELAY_S)
            self._counters.worker_restarted()
            reason = worker.failure.message if worker.failure else _ending(code)
            logs.log(
                logger,
                logging.ERROR,
                "a worker died and is replaced",
                slot=worker.slot,
                reason=reason,
                delay_s=delay,
            )
            await asyncio.sleep(delay)

    async def _run_worker(self, worker: Worker) -> int:
        assert self._start is not None  # noqa: S101 (set before any worker is kept)
        ours, theirs = socket.socketpair()
        environ = os.environ | resources.thread_environment(self._start.threads)
        argv = [sys.executable, "-m", "boxship.serve.worker"]
        argv += [str(theirs.fileno()), str(self._sock.fileno())]
        fds = (theirs.fileno(), self._sock.fileno())
        try:
            child = await process.start(argv, environ=environ, pass_fds=fds)
        finally:
            theirs.close()
        worker.process, worker.failure = child, None
        worker.state = State(Phase.LOAD)
        reader, worker.writer = await asyncio.open_connection(sock=ours)
        start = self._start
        worker.writer.write(
            channel.encode(
                channel.Start(
                    project=start.project,
                    slot=worker.slot,
                    threads=start.threads,
                    digest=start.digest,
                    version=start.version,
                    metrics=start.metrics,
                )
            )
        )
        if self._draining:
            self._tell(worker, channel.Drain())
        try:
            await self._listen_to(worker, reader)
            code = await child.wait()
        finally:
            worker.writer.close()
            worker.process, worker.writer, worker.ready = None, None, False
            self._forget(str(worker.slot))
            self._workers_changed()
        return code

    async def _listen_to(self, worker: Worker, reader: asyncio.StreamReader) -> None:
        """Follow what a worker says until it ends."""
        with suppress(ConnectionResetError):
            while line := await reader.readline():
                message = channel.decode(line)
                if isinstance(message, channel.Progress):
                    worker.state = State(message.phase, message.detail)
                    if message.detail:
                        logger.error(message.detail)
                elif isinstance(message, channel.Loaded):
                    self._worker_ready(worker, message)
                elif isinstance(message, channel.Failed):
                    worker.failure = message

    def _worker_ready(self, worker: Worker, message: channel.Loaded) -> None:
        worker.ready = True
        worker.state = State(Phase.READY)
        if not self._was_ready:
            self._was_ready = True
            for note in message.notes:
                logger.info(note)
        self._workers_changed()
        ready = sum(other.ready for other in self._workers)
        logs.log(
            logger,
            logging.INFO,
            "ready",
            model=self._project.name,
            version=self._start.version if self._start else "",
            runtime=message.runtime,
            workers=f"{ready}/{len(self._workers)}",
            load_s=round(message.load_s, 3),
            since_start_s=round(monotonic() - self._began, 3),
        )

    def _workers_changed(self) -> None:
        """Accept here exactly while no worker does."""
        ready = sum(worker.ready for worker in self._workers)
        self._counters.workers(ready=ready, starting=len(self._workers) - ready)
        if self._draining:
            return
        if ready:
            self._acceptor.pause()
        else:
            self._acceptor.resume()

    def _stillborn(self, worker: Worker, code: int) -> Outcome:
        if worker.failure is not None:
            return Outcome(worker.failure.exit_code, worker.failure.message)
        return Outcome(
            EXIT_FAILURE,
            f"Worker {worker.slot} died before the model was ready ({_ending(code)}). "
            + _hint(code),
        )

    def _on_signal(self, number: int) -> None:
        if self._draining:
            logger.warning("second signal: ending at once")
            self._end(Outcome(128 + number))
            return
        self._draining = True
        # On a terminal nobody balances load: Ctrl-C does not wait for anyone to notice.
        delay = 0.0 if number == signal.SIGINT and sys.stdin.isatty() else None
        self._spawn(self._drain(self._settings.drain_delay_s if delay is None else delay))

    async def _drain(self, delay_s: float) -> None:
        """Unready at once; accept for ``delay_s`` more; finish what is in flight."""
        serving = [worker for worker in self._workers if worker.ready]
        logs.log(logger, logging.INFO, "draining", delay_s=delay_s, workers=len(serving))
        for worker in self._workers:
            if not worker.ready and worker.process is not None:
                worker.process.kill()
        for worker in serving:
            self._tell(worker, channel.Drain())
        if serving:
            await asyncio.sleep(delay_s)
        refuse_new_connections(self._sock)
        for worker in serving:
            self._tell(worker, channel.Close())
        await self._front.close(take_waiting=not serving)
        limit = self._settings.request_timeout_s + contract.TERMINATION_MARGIN_S / 2
        waits = [w.process.wait() for w in serving if w.process is not None]
        try:
            await asyncio.wait_for(asyncio.gather(*waits), limit)
        except TimeoutError:
            logger.warning("some requests did not finish in time and are dropped")
        logger.info("drained")
        self._end(Outcome())

    def _tell(self, worker: Worker, message: channel.Message) -> None:
        if worker.writer is not None and not worker.writer.is_closing():
            worker.writer.write(channel.encode(message))


def _verified(path: Path) -> tuple[str, int]:
    if not path.exists():
        raise ModelError(
            f"Expected a model at {path}, found nothing there.",
            tip="Check the path, or the volume that should hold it.",
        )
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return digest_of(path), sum(file.stat().st_size for file in files)


def _ending(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _hint(code: int) -> str:
    if code == -signal.SIGKILL:
        return "SIGKILL is usually the kernel: the memory limit is too small for the model."
    return "Its last log lines say more."


def serve(project: Project, warnings: Sequence[str]) -> int:
    """Serve ``project`` until a signal; the exit code. Raises ``BoxshipError``."""
    settings = project.serve
    logs.configure(form=settings.log_format, level=settings.log_level, worker=None)
    sock = listen(settings.host, settings.port)
    host, port = sock.getsockname()[:2]
    logs.log(logger, logging.INFO, "listening", url=f"http://{_reachable(host)}:{port}")
    for warning in warnings:
        logger.warning(warning)
    folder = Path(tempfile.mkdtemp(prefix="boxship-metrics-"))
    try:
        outcome = asyncio.run(_run(project, sock, folder))
    finally:
        sock.close()
        shutil.rmtree(folder, ignore_errors=True)
    if outcome.message:
        _leave_last_words(outcome.message)
        raise_with = BoxshipError(outcome.message)
        raise_with.exit_code = outcome.exit_code
        raise raise_with
    return outcome.exit_code


async def _run(project: Project, sock: socket.socket, folder: Path) -> Outcome:
    return await Supervisor(project, sock, folder).run()


def _reachable(host: str) -> str:
    """An address a reader can paste into a browser."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _leave_last_words(message: str) -> None:
    """Where Kubernetes made a file for a container's last words, leave them there."""
    file = Path(contract.TERMINATION_LOG)
    if file.is_file():
        try:
            file.write_text(message[-4096:])
        except OSError as error:
            logger.warning("cannot write %s: %s", file, error.strerror)
