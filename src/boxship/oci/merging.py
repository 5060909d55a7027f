"""Layers on top of each other: what a container of the image would find.

https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
"""

import tarfile
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePosixPath
from typing import IO, Protocol

from boxship.oci.blobs import Blobs
from boxship.oci.contents import walk
from boxship.oci.layer import Layer

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_OTHER = ".wh..wh."
"""What AUFS keeps for itself."""


class Taker(Protocol):
    """Puts together what an image holds; paths have no leading slash."""

    def take(
        self, path: PurePosixPath, entry: tarfile.TarInfo, opened: Callable[[], IO[bytes] | None]
    ) -> None:
        """Have an entry. What was at its path is removed already, but for folders."""

    def remove(self, path: PurePosixPath, kept: Collection[PurePosixPath] = ()) -> None:
        """Have no more what is at ``path`` and under it, but for the paths that are ``kept``."""


def merge(layers: Iterable[Layer], blobs: Blobs, taker: Taker) -> None:
    """Show a taker what each layer adds and removes, the lowest first.

    Raises ``ImageError``, ``OSError``, and what the taker raises.
    """
    for layer in layers:
        walk(layer.blob, blobs, _Merging(taker).see)


class _Merging:
    """One layer. It removes from those below it alone, in whatever order its entries are."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._own: set[PurePosixPath] = set()

    def see(self, entry: tarfile.TarInfo, opened: Callable[[], IO[bytes] | None]) -> None:
        path = PurePosixPath(entry.name.lstrip("/"))
        if ".." in path.parts:
            return
        if path.name == _OPAQUE:
            self._keep(path.parent)
            self._taker.remove(path.parent, self._own)
        elif path.name.startswith(_OTHER):
            return
        elif path.name.startswith(_WHITEOUT):
            hidden = path.name.removeprefix(_WHITEOUT)
            if hidden not in ("", ".", ".."):
                self._taker.remove(path.with_name(hidden), self._own)
        else:
            self._keep(path)
            if not entry.isdir():
                self._taker.remove(path)
            self._taker.take(path, entry, opened)

    def _keep(self, path: PurePosixPath) -> None:
        self._own.update((path, *path.parents))
