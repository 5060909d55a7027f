"""The one place that runs uv, and tells what it had to say."""

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from boxship import process
from boxship.build import address
from boxship.errors import BuildError

MAKE_ONE: Final = (
    "Make a wheel of it where you trust it, pip wheel --no-deps NAME==VERSION, and name that file in "
    "the requirements: ./FILE.whl. Or have an engine make it: --builder docker, of lock and of build."
)
"""The way out for what has no wheel."""
LOG_IN: Final = (
    "A lock has no logins. Put that of the index into ~/.netrc, into UV_INDEX_NAME_USERNAME and "
    "UV_INDEX_NAME_PASSWORD where UV_INDEX has NAME=ADDRESS, or into the line of the requirements "
    "that names its address."
)
"""The way out for what a server refuses."""
_LONGEST = 25
_TIPS = (
    (re.compile(r"\b(?:401 Unauthorized|403 Forbidden)\b"), LOG_IN),
    (re.compile(r"no usable wheels|no wheels|Wheels are required|is disabled"), MAKE_ONE),
)


@functools.cache
def usual_index() -> str:
    """The address of the index that uv asks where nobody names another."""
    argv = ["pip", "compile", "--quiet", "--no-config", "--no-header", "--offline"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("UV_")}
    found = run([*argv, "--emit-index-url", "-"], Path.cwd(), environ)
    return found.partition("--index-url ")[2].partition("\n")[0]


def run(argv: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """What uv prints for ``argv``, run in ``folder``; None stands for this process's variables.

    Raises ``BuildError`` with its own explanation.
    """
    from uv import find_uv_bin

    variables = os.environ if environ is None else environ
    done = process.run([find_uv_bin(), *argv], environ=variables, cwd=folder)
    if done.code != 0:
        lines = [line.rstrip() for line in done.said(None).splitlines() if line.strip()]
        shown = "\n".join(lines[:_LONGEST]) + ("\n…" if len(lines) > _LONGEST else "")
        tip = next((tip for found, tip in _TIPS if found.search(shown)), "")
        raise BuildError(address.shown(shown), tip=tip)
    return done.stdout
