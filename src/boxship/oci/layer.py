"""Layers: files packed so that the same files are always the same bytes."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from boxship.oci.blobs import Blobs
from boxship.oci.compression import MEDIA_TYPES, Compression, Compressor, Sink
from boxship.oci.descriptor import Descriptor


@dataclass(frozen=True)
class Entry:
    """One file of a layer: at ``path`` in the image, without a leading slash.

    ``content`` is the file to pack, its bytes, or None for a folder.
    """

    path: str
    content: Path | bytes | None
    executable: bool = False

    @property
    def size(self) -> int:
        """Bytes of the content; a folder has none. Raises ``OSError``."""
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        return len(self.content or b"")


@dataclass(frozen=True)
class Layer:
    """A packed layer: its blob, and the digest of what the blob unpacks to."""

    blob: Descriptor
    diff_id: str


class _Tee:
    """Hashes what goes through it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.hash = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.hash.update(data)
        return self._sink.write(data)


def pack(entries: Iterable[Entry], blobs: Blobs, compression: Compression = "gzip") -> Layer:
    """Pack ``entries``, sorted, of one time and one owner, folders above them included.

    Everything belongs to root and may be read by all: an image's files are for its user to read,
    not to change. Raises ``OSError``.
    """

    def write(out: Sink) -> None:
        with tarfile.open(mode="w|", fileobj=out, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
            for entry in _with_folders(entries):
                _add(tar, entry)

    return compress(write, blobs, compression)


def compress(
    write: Callable[[Sink], None], blobs: Blobs, compression: Compression = "gzip"
) -> Layer:
    """The layer of the tar archive that ``write`` writes. Raises ``OSError``."""
    with blobs.adding() as incoming:
        compressor = Compressor(incoming, compression)
        try:
            tee = _Tee(compressor)
            write(tee)
        finally:
            compressor.close()
    blob = Descriptor(MEDIA_TYPES[compression], incoming.digest, incoming.size)
    return Layer(blob, f"sha256:{tee.hash.hexdigest()}")


def _with_folders(entries: Iterable[Entry]) -> list[Entry]:
    found = {entry.path: entry for entry in entries}
    for path in list(found):
        for parent in PurePosixPath(path).parents:
            if str(parent) != ".":
                found.setdefault(str(parent), Entry(str(parent), None))
    return [found[path] for path in sorted(found)]


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    content = entry.content
    if content is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
        return
    info.mode = 0o755 if entry.executable else 0o644
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    with content.open("rb") as file:
        info.size = content.stat().st_size
        tar.addfile(info, file)
