"""Layers that others made: what is wrong with them is one clear error, and all else is not theirs."""

import errno
import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from backports import zstd
from support.registry import random_bytes

from boxship.errors import ImageError
from boxship.oci.blobs import Blobs
from boxship.oci.contents import unpack, walk
from boxship.oci.descriptor import LAYER_GZIP, LAYER_ZSTD


def packed(media_type: str) -> bytes:
    """A layer of one file."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("a")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(random_bytes(info.size)))
    inside = data.getvalue()
    return gzip.compress(inside) if media_type == LAYER_GZIP else zstd.compress(inside)


BROKEN: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "no tar": (LAYER_GZIP, lambda _: gzip.compress(b"no tar" * 200)),
    "no gzip": (LAYER_GZIP, lambda _: b"no gzip"),
    "cut gzip": (LAYER_GZIP, lambda data: data[:50_000]),
    "spoilt gzip": (LAYER_GZIP, lambda data: data[:10] + b"\xff" * 2000 + data[2010:]),
    "no zstd": (LAYER_ZSTD, lambda _: b"no zstd"),
    "cut zstd": (LAYER_ZSTD, lambda data: data[:50_000]),
    "spoilt zstd": (LAYER_ZSTD, lambda data: data[:10] + b"\xff" * 2000 + data[2010:]),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("read", [walk, unpack])
def test_a_broken_layer_is_named(
    blobs: Blobs, tmp_path: Path, case: str, read: Callable[..., None]
) -> None:
    media_type, spoil = BROKEN[case]
    layer = blobs.add(spoil(packed(media_type)), media_type)
    with pytest.raises(ImageError) as caught:
        read(layer, blobs, (lambda *_: None) if read is walk else tmp_path / "out")
    expected = f"layer {layer.digest}: expected a tar archive, found: "
    assert caught.value.message.startswith(expected)
    assert caught.value.tip


@pytest.mark.parametrize("media_type", [LAYER_GZIP, LAYER_ZSTD])
def test_what_goes_wrong_with_a_file_is_not_the_layers_fault(blobs: Blobs, media_type: str) -> None:
    """A full disk, say, of whoever is shown the files."""

    def full(_: tarfile.TarInfo, opened: Callable[[], IO[bytes] | None]) -> None:
        opened()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        walk(blobs.add(packed(media_type), media_type), blobs, full)
