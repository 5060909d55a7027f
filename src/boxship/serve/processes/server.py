"""``serve(project)``: one server, from its socket to its exit code."""

import asyncio
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from boxship import contract
from boxship.errors import BoxshipError
from boxship.project import Project
from boxship.serve import logs
from boxship.serve.processes.listener import listen
from boxship.serve.processes.outcome import Outcome
from boxship.serve.processes.supervisor import Supervisor

logger = logging.getLogger("boxship.serve")

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 (files in it are made by tempfile)

_LAST_WORDS_BYTES = 4096
"""Kubernetes reads no more of a termination message."""


def serve(project: Project, warnings: Sequence[str]) -> int:
    """Serve ``project`` until a signal; the exit code. Raises ``BoxshipError``."""
    settings = project.serve
    logs.configure(form=settings.log_format, level=settings.log_level, worker=None)
    sock = listen(settings.host, settings.port)
    host, port = sock.getsockname()[:2]
    logs.log(logger, logging.INFO, "listening", url=f"http://{_reachable(host)}:{port}")
    for warning in warnings:
        logger.warning(warning)
    have_temporary_folder()
    folder = Path(tempfile.mkdtemp(prefix="boxship-metrics-"))
    try:
        outcome = asyncio.run(_supervised(project, sock, folder))
    finally:
        sock.close()
        shutil.rmtree(folder, ignore_errors=True)
    if outcome.message:
        leave_last_words(outcome.message, Path(contract.TERMINATION_LOG))
        raise BoxshipError(outcome.message, exit_code=outcome.exit_code)
    return outcome.exit_code


def have_temporary_folder() -> None:
    """See that this process and its children have a place for temporary files.

    Where the root is read-only and nothing is mounted, as in ``docker run --read-only``, it is
    shared memory. Raises ``BoxshipError`` where there is none at all.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        if not os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
            raise BoxshipError(
                "Expected a folder for temporary files that can be written, found none in "
                f"$TMPDIR, /tmp, /var/tmp or {_SHARED_MEMORY}.",
                tip="Mount one: docker run --tmpfs /tmp, or an emptyDir at /tmp in Kubernetes.",
            ) from error
        os.environ["TMPDIR"] = tempfile.tempdir = _SHARED_MEMORY


async def _supervised(project: Project, sock: socket.socket, folder: Path) -> Outcome:
    return await Supervisor(project, sock, folder).run()


def _reachable(host: str) -> str:
    """A host that can be pasted into a browser."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        return "localhost"
    return f"[{host}]" if ":" in host else host


def leave_last_words(message: str, file: Path) -> None:
    """Write why the server ended where Kubernetes made a file for it; nowhere else."""
    if not file.is_file():
        return
    try:
        file.write_bytes(message.encode()[-_LAST_WORDS_BYTES:])
    except OSError as error:
        logger.warning("cannot write %s: %s", file, error.strerror)
