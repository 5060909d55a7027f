"""What a layer's files are: read through one by one, or unpacked into a folder."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from boxship.errors import ImageError
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import LAYER_GZIP, LAYER_ZSTD, Descriptor

Seen = Callable[[tarfile.TarInfo, Callable[[], IO[bytes] | None]], None]
"""Is shown each entry, with a way to open it."""


def walk(layer: Descriptor, blobs: Blobs, seen: Seen) -> None:
    """Show every entry of a layer, in its order.

    Raises ``ImageError`` for one that is broken, ``OSError``, and what ``seen`` raises.
    """
    with _archive(layer, blobs) as tar:
        for entry in tar:
            seen(entry, partial(tar.extractfile, entry))


def unpack(layer: Descriptor, blobs: Blobs, into: Path) -> None:
    """The files of a layer of ours, in a folder. Raises ``ImageError`` and ``OSError``."""
    with _archive(layer, blobs) as tar:
        # Early releases of Python 3.11 know no filters, and our layers hold nothing to filter out.
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(into)  # noqa: S202


@contextmanager
def _archive(layer: Descriptor, blobs: Blobs) -> Iterator[tarfile.TarFile]:
    """The archive that a layer is: what is wrong with it is an ``ImageError``, and nothing else."""
    broken: list[type[Exception]] = [tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error]
    with ExitStack() as stack:
        stream: IO[bytes] = stack.enter_context(blobs.path(layer.digest).open("rb"))
        if layer.media_type == LAYER_ZSTD:
            from backports import zstd

            broken.append(zstd.ZstdError)
            stream = cast("IO[bytes]", stack.enter_context(zstd.open(stream)))
        elif layer.media_type == LAYER_GZIP:
            stream = cast("IO[bytes]", stack.enter_context(gzip.open(stream)))
        try:
            yield stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))
        except tuple(broken) as error:
            raise ImageError(
                f"layer {layer.digest}: expected a tar archive, found: {error}.",
                tip="Its digest is right: whoever made the image made it so. Choose another.",
            ) from None
