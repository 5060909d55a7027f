"""How far a fetch has come, on standard error."""

import sys
from typing import Self

from boxship.artifact.fetch import Progress
from boxship.cli import sizes


class Meter:
    """One line that is written over on a terminal; elsewhere one for each 10 %."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._tenth = -1
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        text = f"{sizes.shown(progress.done)} of {sizes.shown(progress.size)}"
        if self._terminal:
            self._shown = True
            print(f"\r{progress.percent:3} % {text}\033[K", end="", file=sys.stderr, flush=True)
        elif progress.percent // 10 != self._tenth:
            self._tenth = progress.percent // 10
            print(f"{progress.percent} % ({text})", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal's line as it was."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
