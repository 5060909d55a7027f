"""A wheel of 2 GB that no compression makes smaller, as the largest frameworks are."""

import base64
import hashlib
import random
import zipfile
from collections.abc import Iterable
from pathlib import Path

FILE = "heavy-1.0-py3-none-any.whl"
_INFO = "heavy-1.0.dist-info"
_FILES = 2
_CHUNKS = 1000
_CHUNK = 1_000_000
_WHEEL = b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make(folder: Path) -> Path:
    """The same bytes every time."""
    chance = random.Random(0)
    record: list[str] = []
    path = folder / FILE
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, record, "heavy/__init__.py", [b""])
        for number in range(_FILES):
            chunks = (chance.randbytes(_CHUNK) for _ in range(_CHUNKS))
            _add(archive, record, f"heavy/weights{number}.bin", chunks)
        metadata = b"Metadata-Version: 2.1\nName: heavy\nVersion: 1.0\n"
        _add(archive, record, f"{_INFO}/METADATA", [metadata])
        _add(archive, record, f"{_INFO}/WHEEL", [_WHEEL])
        record.append(f"{_INFO}/RECORD,,\n")
        archive.writestr(f"{_INFO}/RECORD", "".join(record))
    return path


def _add(archive: zipfile.ZipFile, record: list[str], name: str, chunks: Iterable[bytes]) -> None:
    taken, size = hashlib.sha256(), 0
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
        for chunk in chunks:
            file.write(chunk)
            taken.update(chunk)
            size += len(chunk)
    digest = base64.urlsafe_b64encode(taken.digest()).rstrip(b"=").decode()
    record.append(f"{name},sha256={digest},{size}\n")
