"""How a command ends that somebody else ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from boxship.errors import EXIT_TERMINATED


class Terminated(KeyboardInterrupt):
    """SIGTERM, which a cancelled CI job sends: what Ctrl-C clears away, this does too."""

    exit_code = EXIT_TERMINATED


@contextmanager
def tidily() -> Iterator[None]:
    """Raise ``Terminated`` at SIGTERM, so that nothing half-written is left."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(*_: object) -> NoReturn:
    raise Terminated
