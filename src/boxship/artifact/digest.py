"""What names a model's content, and changes when any bit of it does."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from boxship.artifact.mishaps import unreadable

Progress = Callable[[int], None]
"""Called with the number of bytes just read."""

_CHUNK_BYTES = 1 << 20


def digest(path: Path, beside: Sequence[Path] = (), progress: Progress = lambda _: None) -> str:
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
            files = (path, *beside) if beside else folder.rglob("*")
            names = {
                file.relative_to(folder).as_posix(): file for file in files if not file.is_dir()
            }
            return of_files({name: _file_hex(names[name], progress) for name in sorted(names)})
        return f"sha256:{_file_hex(path, progress)}"
    except OSError as error:
        raise unreadable(path, error) from error


def of_files(hexes: Mapping[str, str]) -> str:
    """The digest of a folder whose files have these names and SHA-256 sums."""
    names = {name.encode("utf-8", "surrogateescape"): name for name in hexes}
    listing = b"".join(f"{hexes[names[raw]]}  ".encode() + raw + b"\n" for raw in sorted(names))
    return f"sha256:{hashlib.sha256(listing).hexdigest()}"


def _file_hex(path: Path, progress: Progress) -> str:
    content = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            content.update(chunk)
            progress(len(chunk))
    return content.hexdigest()
