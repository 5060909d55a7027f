"""The one place that starts a program, by argument lists, never a shell; and that ends this one."""

import asyncio
import atexit
import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

logger = logging.getLogger("boxship.process")


async def start(
    argv: Sequence[str], *, environ: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> asyncio.subprocess.Process:
    """Start ``argv`` in a process group of its own and return at once.

    Its own group, so that Ctrl-C on a terminal reaches the parent alone, which
    then decides what its children do. Output goes where ours goes.
    """
    logger.debug("starting %s", shlex.join(argv))
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        env=dict(environ),
        pass_fds=tuple(pass_fds),
        process_group=0,
    )


def leave(code: int) -> NoReturn:
    """End now, without taking the interpreter apart.

    A thread that the user's code has left running must not hold up the end, and one of a
    library's own, as obstore has them, aborts the process where it finds no interpreter left.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 (what a normal end would run)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
