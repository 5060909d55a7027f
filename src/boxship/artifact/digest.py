"""What names a model's content, and changes when any bit of it does."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from boxship.artifact.mishaps import unreadable


def digest(path: Path, beside: Sequence[Path] = ()) -> str:
    """``sha256:<64 hex digits>`` of a file's content, or of a folder's.

    A folder's digest is that of the text that ``sha256sum`` prints for its files:
    a line ``<hex>  <name>`` each, names relative with ``/``, sorted by their UTF-8
    bytes; so is a file's with others ``beside`` it that belong to it. Links are
    followed; empty folders and permissions do not count.
    Raises ``ModelError`` where something cannot be read.
    """
    try:
        if path.is_dir() or beside:
            folder = path if path.is_dir() else path.parent
            listing = b"".join(_lines(folder, (path, *beside) if beside else folder.rglob("*")))
            return f"sha256:{hashlib.sha256(listing).hexdigest()}"
        return f"sha256:{_file_hex(path)}"
    except OSError as error:
        raise unreadable(path, error) from error


def _lines(folder: Path, files: Iterable[Path]) -> Iterator[bytes]:
    names = {
        str(file.relative_to(folder).as_posix()).encode("utf-8", "surrogateescape"): file
        for file in files
        if not file.is_dir()
    }
    for name in sorted(names):
        yield f"{_file_hex(names[name])}  ".encode() + name + b"\n"


def _file_hex(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
