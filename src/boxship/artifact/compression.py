"""Compressed files that joblib and gzip leave behind, told by their first bytes."""

import bz2
import gzip
import importlib
import io
import lzma
import zlib
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, Protocol, cast

from boxship.errors import ModelError

HEAD_BYTES = 6
"""How many first bytes ``compression`` needs."""

DECOMPRESSION_ERRORS = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError)
"""What the decompressors raise on data that is cut off or damaged; RuntimeError is lz4's."""


class Compression(StrEnum):
    """How a file is compressed; the value is what people call it."""

    GZIP = "gzip"
    ZLIB = "zlib"
    BZ2 = "bz2"
    XZ = "xz"
    LZMA = "lzma"
    LZ4 = "lz4"


MAGIC: Final = {
    Compression.GZIP: b"\x1f\x8b",
    Compression.BZ2: b"BZh",
    Compression.XZ: b"\xfd7zXZ",
    Compression.LZMA: b"\x5d\x00\x00",
    Compression.LZ4: b"\x04\x22\x4d\x18",
}


def compression(head: bytes) -> Compression | None:
    """How the file that begins with ``head`` is compressed, ``None`` where it is not."""
    # RFC 1950: method 8, a 32 KiB window, and a header that 31 divides.
    if len(head) >= 2 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0:
        return Compression.ZLIB
    return next((kind for kind, magic in MAGIC.items() if head.startswith(magic)), None)


def open_decompressed(path: Path, kind: Compression) -> IO[bytes]:
    """A buffered stream of the content of ``path``.

    Raises ``ModelError`` where the file needs a package that is not installed.
    """
    match kind:
        case Compression.GZIP:
            return cast(IO[bytes], gzip.open(path, "rb"))
        case Compression.BZ2:
            return io.BufferedReader(cast(io.RawIOBase, bz2.open(path, "rb")))
        case Compression.XZ | Compression.LZMA:
            return io.BufferedReader(cast(io.RawIOBase, lzma.open(path, "rb")))
        case Compression.ZLIB:
            return io.BufferedReader(_ZlibReader(path.open("rb")))
        case Compression.LZ4:
            return io.BufferedReader(cast(io.RawIOBase, _lz4(path).open(path, "rb")))


class _Lz4Frame(Protocol):
    def open(self, filename: Path, mode: str) -> IO[bytes]: ...


def _lz4(path: Path) -> _Lz4Frame:
    try:
        return cast(_Lz4Frame, importlib.import_module("lz4.frame"))
    except ImportError as error:
        raise ModelError(
            f"{path} is compressed with lz4, and the package lz4 is not installed.",
            tip="Install it (pip install lz4), or write the model again without compression.",
        ) from error


class _ZlibReader(io.RawIOBase):
    """A readable stream over a zlib file; the standard library has one for gzip only."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._decompressor = zlib.decompressobj()
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = b""
        while not data and not self._decompressor.eof:
            waiting = self._decompressor.unconsumed_tail or self._file.read(1 << 16)
            if not waiting:
                raise EOFError("the compressed data ends before its end mark")
            data = self._decompressor.decompress(waiting, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
