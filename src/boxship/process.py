"""The one place that starts a program, by argument lists, never a shell; and that ends this one."""

import asyncio
import atexit
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from boxship.errors import BoxshipError

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


@dataclass(frozen=True)
class Done:
    """What a program left behind."""

    code: int
    stdout: str
    stderr: str

    def said(self, longest: int | None = 2000) -> str:
        """Its last words, at most ``longest`` characters: those of an error before others.

        The exit code speaks for a program that said nothing.
        """
        words = self.stderr.strip() or self.stdout.strip() or f"exit code {self.code}"
        return words if longest is None else words[-longest:]


def run(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    stdin: str = "",
) -> Done:
    """Run ``argv`` to its end. Raises ``BoxshipError`` where there is no such program."""
    logger.debug("running %s", shlex.join(argv))
    try:
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            cwd=cwd,
            env=dict(environ),
            input=stdin,
            text=True,
            errors="replace",
        )
    except (FileNotFoundError, PermissionError) as error:
        raise BoxshipError(
            f"{argv[0]}: expected a program that can be run, found: {error.strerror}."
        ) from None
    return Done(done.returncode, done.stdout, done.stderr)


def leave(code: int) -> NoReturn:
    """End now, without taking the interpreter apart.

    A thread that the user's code has left running must not hold up the end, and one of a
    library's own, as obstore has them, aborts the process where it finds no interpreter left.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 (what a normal end would run)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
