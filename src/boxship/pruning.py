"""What goes where too much is kept: the longest unused first, until the rest fits."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Kept(Protocol):
    """Something that takes room on a disk: its bytes, and when it was last used."""

    @property
    def size(self) -> int: ...
    @property
    def used(self) -> float: ...


T = TypeVar("T", bound=Kept)


def prune(kept: Iterable[T], most_bytes: int, remove: Callable[[T], bool]) -> list[T]:
    """Those of ``kept`` that were removed. ``remove`` says whether that could be."""
    waiting = sorted(kept, key=lambda one: one.used)
    left = sum(one.size for one in waiting)
    removed = []
    for one in waiting:
        if left <= most_bytes:
            break
        if remove(one):
            removed.append(one)
            left -= one.size
    return removed
