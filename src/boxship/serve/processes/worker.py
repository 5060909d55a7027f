"""A child process: loads the model, proves that it answers, then accepts connections.

Started as ``python -m boxship.serve.processes.worker CONTROL_FD LISTENER_FD TABLE_FD
SUPERVISOR_PID``.
"""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import uvloop

from boxship.errors import EXIT_MODEL, BoxshipError
from boxship.process import leave
from boxship.serve import logs, metrics
from boxship.serve.lifecycle import Phase
from boxship.serve.processes import channel, resources
from boxship.serve.processes.channel import (
    Accept,
    Close,
    Drain,
    Failed,
    Loaded,
    Progress,
    ReloadFailed,
    Retire,
    Start,
    WorkerEnd,
)
from boxship.serve.processes.http import HttpServer
from boxship.serve.processes.spread import ConnectionTable

if TYPE_CHECKING:
    from boxship.serve.processes.loading import Served

logger = logging.getLogger("boxship.serve")

_PR_SET_PDEATHSIG = 1
_SUPERVISORS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FLUSH_S = 0.05
"""How old the counts may be that another worker's ``/metrics`` gives."""


async def run(
    start: Start, control: WorkerEnd, listener: socket.socket, table: ConnectionTable
) -> None:
    """Load, say ready, serve until told to close."""
    # Only now: numpy reads the environment, which the start message has completed.
    from boxship.serve.golden import GoldenMismatchError
    from boxship.serve.processes.loading import Loading

    began = perf_counter()
    loop = asyncio.get_running_loop()
    counters = metrics.ServerMetrics(partial(loop.call_later, _FLUSH_S))

    def enter(phase: Phase) -> None:
        control.send(Progress(phase))

    loading = Loading(start, counters, enter)
    try:
        served = await loading.run()
    except GoldenMismatchError as error:
        # Alive, to be looked at, and never ready.
        control.send(Progress(Phase.GOLDEN, str(error)))
        await _told(control, Close)
        return
    server = HttpServer(
        served.app,
        start.project.serve,
        lifespan=served.lifespan,
        counted=partial(table.publish, start.slot),
        direct=served.direct,
    )
    await _started(server)
    if served.after_start is not None:
        await served.after_start(server.app_state)
    table.publish(start.slot, 0)
    _end_with_parent(0)
    if start.project.service is None and start.project.app is None:
        # A model by itself lives as long as its worker: nobody need look through it for garbage.
        # Looking once more before would take a tenth of a second, for some hundred small objects.
        gc.freeze()
    load_s = perf_counter() - began
    counters.model_loaded(
        model=start.project.name,
        version=start.version,
        digest=start.digest,
        runtime=served.runtime,
        seconds=load_s,
    )
    control.send(Loaded(served.runtime, load_s, served.notes))
    # A server that is about to end kills who is not ready: nobody may be connected to it by then.
    await _told(control, Accept)
    server.accept(listener, partial(table.others_have_fewer, start.slot))
    await _serve_until_closed(server, served, control, leave=partial(table.leave, start.slot))
    counters.flush()


async def _started(server: HttpServer) -> None:
    try:
        await server.start()
    except SystemExit:
        raise BoxshipError(
            "The application's own start-up (lifespan) failed; its log lines above say why."
        ) from None


async def _serve_until_closed(
    server: HttpServer, served: "Served", control: WorkerEnd, *, leave: Callable[[], None]
) -> None:
    retired = False
    while True:
        message = await _next(control)
        if isinstance(message, Drain):
            served.app.drain()
        if isinstance(message, Retire):
            retired = True
            server.pause()
            leave()
            served.app.retire()
        if isinstance(message, ReloadFailed):
            served.app.reload_failed(message.detail)
        if message is None or isinstance(message, Close):
            # None: the supervisor is gone, and with it everybody who would tell us to stop.
            if not retired:
                served.app.drain()
            # What waits in the socket's queue is for those who stay, if any do.
            await server.close(take_waiting=not retired)
            return


async def _told(control: WorkerEnd, kind: type[channel.Message]) -> None:
    while True:
        message = await _next(control)
        if message is None or isinstance(message, kind):
            return


async def _next(control: WorkerEnd) -> channel.Message | None:
    """The supervisor's next message, without blocking the event loop."""
    if not control.buffered:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(control.sock, readable.set_result, None)
        try:
            await readable
        finally:
            loop.remove_reader(control.sock)
    return control.receive()


def main(argv: list[str]) -> int:
    """Run one worker; what ends it before it is ready goes to the supervisor in words."""
    # These are the supervisor's to act on; it says what a worker does.
    for number in _SUPERVISORS_SIGNALS:
        signal.signal(number, lambda *_: None)
    os.register_at_fork(after_in_child=_take_signals)
    _end_with_parent(signal.SIGKILL)
    if os.getppid() != int(argv[3]):
        # It ended before that was asked for.
        return EXIT_MODEL
    control = WorkerEnd(socket.socket(fileno=int(argv[0])))
    listener = socket.socket(fileno=int(argv[1]))
    listener.setblocking(False)
    table = ConnectionTable(int(argv[2]))
    start = control.receive()
    if not isinstance(start, Start):
        return EXIT_MODEL
    os.environ.update(resources.thread_environment(start.threads))
    settings = start.project.serve
    logs.configure(form=settings.log_format, level=settings.log_level, worker=start.slot)
    metrics.prepare(start.metrics, str(start.slot))
    try:
        uvloop.run(run(start, control, listener, table))
    except BoxshipError as error:
        return _failed(control, error.paragraph(), error.exit_code)
    except Exception as error:  # noqa: BLE001 (the user's model and code raise what they like)
        traceback.print_exc()
        words = f"The model could not be served: {type(error).__name__}: {error}"
        return _failed(control, words, EXIT_MODEL)
    return 0


def _take_signals() -> None:
    """What the user's code forks ends as processes do."""
    for number in _SUPERVISORS_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _end_with_parent(number: int) -> None:
    """Be sent ``number`` when the supervisor ends, 0 for nothing; only Linux can.

    A load that holds the interpreter lock would keep the socket open, unanswered.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _failed(control: WorkerEnd, message: str, exit_code: int) -> int:
    control.send(Failed(message, exit_code))
    return exit_code


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
