"""The one place that starts a program: argument lists, never a shell."""

import asyncio
import logging
import shlex
from collections.abc import Mapping, Sequence

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
