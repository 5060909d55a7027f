"""How connections spread over the workers that share one listening socket.

Whoever wakes first may take every waiting connection. So each worker writes its
number of connections into shared memory, and one that has more than another lets
that other go first for a moment.
"""

import mmap
import os
import tempfile

from boxship import contract

_SLACK = 16
"""One part in so many is no difference between two workers."""


class ConnectionTable:
    """One number for each slot, in a file of no name that all processes have open."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, contract.MAX_WORKERS * 4)
        self._counts = memoryview(self._memory).cast("I")
        self._left: set[int] = set()

    @classmethod
    def create(cls) -> "ConnectionTable":
        """A new table; its descriptor is for the children to inherit."""
        with tempfile.TemporaryFile(prefix="boxship-") as file:
            file.truncate(contract.MAX_WORKERS * 4)
            return cls(os.dup(file.fileno()))

    def publish(self, slot: int, connections: int) -> None:
        """``slot`` has a worker that accepts and holds so many connections."""
        if slot not in self._left:
            self._counts[slot] = connections + 1

    def leave(self, slot: int) -> None:
        """``slot``'s worker, which is this process's, accepts no more: nobody waits for it."""
        self._left.add(slot)
        self.clear(slot)

    def clear(self, slot: int) -> None:
        """``slot`` has no worker that accepts."""
        self._counts[slot] = 0

    def others_have_fewer(self, slot: int) -> bool:
        """Whether another worker holds clearly fewer connections than ``slot``'s.

        Of few, one less counts; of many, more: who yields for each of a thousand takes long.
        """
        fewest = min(filter(None, self._counts), default=0)
        return fewest + fewest // _SLACK < self._counts[slot]
