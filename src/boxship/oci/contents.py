"""What a packed image's files are, read through without unpacking them."""

import gzip
import io
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, cast

from boxship.errors import ImageError
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import LAYER_GZIP, LAYER_ZSTD, Descriptor

Seen = Callable[[tarfile.TarInfo, Callable[[], IO[bytes] | None]], None]
"""Is shown each entry, with a way to open it."""


def walk(layer: Descriptor, blobs: Blobs, seen: Seen) -> None:
    """Show every entry of a layer, in its order. Raises ``ImageError`` for one that is broken."""
    path = blobs.path(layer.digest)
    try:
        with ExitStack() as stack:
            stream = _stream(layer, path, stack)
            tar = stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))
            for entry in tar:
                seen(entry, partial(tar.extractfile, entry))
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, OSError) as error:
        raise ImageError(f"layer {layer.digest}: expected a tar archive, found: {error}.") from None


def _stream(layer: Descriptor, path: Path, stack: ExitStack) -> IO[bytes]:
    file = stack.enter_context(path.open("rb"))
    if layer.media_type == LAYER_ZSTD:
        from backports import zstd

        return cast("IO[bytes]", stack.enter_context(zstd.open(file)))
    if layer.media_type == LAYER_GZIP:
        return cast("IO[bytes]", stack.enter_context(gzip.open(file)))
    return io.BufferedReader(file)


def unpack(layer: Descriptor, blobs: Blobs, into: Path) -> None:
    """The files of a layer of ours, in a folder. Raises ``ImageError`` and ``OSError``."""
    with ExitStack() as stack:
        stream = _stream(layer, blobs.path(layer.digest), stack)
        tar = stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))
        # Early releases of Python 3.11 know no filters, and our layers hold nothing to filter out.
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(into)  # noqa: S202
