"""Docker's archives: an image in one tar, which every engine can load. Written whole or not at all."""

import io
import tarfile
from pathlib import Path
from typing import IO

from boxship.errors import ImageError
from boxship.files import replacing
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import canonical
from boxship.oci.image import Image


def write(file: Path, image: Image, blobs: Blobs, name: str) -> None:
    """Put ``image`` into ``file``, to be known as ``name`` where it is loaded.

    https://github.com/moby/docker-image-spec/blob/main/v1.2.md. Raises ``ImageError`` and
    ``OSError``.
    """
    check(file)
    file = file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as out:
        stream(out, image, blobs, name)


def check(file: Path) -> None:
    """Raise ``ImageError`` where something is there that an archive must not replace."""
    if file.exists() and not file.is_file():
        raise ImageError(
            f"{file}: expected a file or nothing there, found something else.",
            tip="Name another file: nothing was changed.",
        )


def stream(out: IO[bytes], image: Image, blobs: Blobs, name: str) -> None:
    """The same into ``out``, which is only written to. Raises ``OSError``."""
    config = f"{_hex(image.config_blob.digest)}.json"
    layers = [f"{_hex(layer.blob.digest)}.tar.gz" for layer in image.layers]
    manifest = [{"Config": config, "RepoTags": [name] if name else [], "Layers": layers}]
    with tarfile.open(mode="w|", fileobj=out, format=tarfile.PAX_FORMAT) as tar:
        written = set()
        for layer, path in zip(image.layers, layers, strict=True):
            if path not in written:
                written.add(path)
                with blobs.path(layer.blob.digest).open("rb") as file:
                    _add(tar, path, layer.blob.size, file)
        data = blobs.read(image.config_blob)
        _add(tar, config, len(data), io.BytesIO(data))
        data = canonical(manifest)
        _add(tar, "manifest.json", len(data), io.BytesIO(data))


def _add(tar: tarfile.TarFile, path: str, size: int, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(path)
    info.size = size
    tar.addfile(info, content)


def _hex(digest: str) -> str:
    return digest.partition(":")[2]
