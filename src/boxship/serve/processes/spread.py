"""How connections spread over the workers that share one listening socket.

Whoever wakes first may take every waiting connection. So each worker writes its
number of connections into shared memory, and one that has more than another lets
that other go first for a moment.
"""

import mmap
import tempfile
from typing import Final

_SLOTS: Final = 1024


class ConnectionTable:
    """One number for each slot, in a file of no name that all processes have open."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, _SLOTS * 4)
        self._counts = memoryview(self._memory).cast("I")

    def publish(self, slot: int, connections: int) -> None:
        """``slot`` has a worker that accepts and holds so many connections."""
        self._counts[slot] = connections + 1

    def clear(self, slot: int) -> None:
        """``slot`` has no worker that accepts."""
        self._counts[slot] = 0

    def others_have_fewer(self, slot: int) -> bool:
        """Whether another worker holds fewer connections than ``slot``'s."""
        return min(filter(None, self._counts), default=0) < self._counts[slot]


def create() -> tuple[ConnectionTable, object]:
    """A new table, and the file that must stay open as long as the table is used."""
    file = tempfile.TemporaryFile(prefix="boxship-")  # noqa: SIM115 (the caller keeps it open)
    file.truncate(_SLOTS * 4)
    return ConnectionTable(file.fileno()), file
