"""What can be told of a model before any library reads it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxship.artifact.digest import digest
from boxship.artifact.external_data import files_beside
from boxship.artifact.mapping import shares_pages
from boxship.artifact.mishaps import unreadable
from boxship.errors import DigestError, ModelError


@dataclass(frozen=True)
class ModelFile:
    """A model's digest, its size in bytes, and whether workers share one copy of it.

    ``stamp`` is the file system's word for these very files, to see that none was replaced.
    """

    digest: str = ""
    size: int = 0
    shared: bool = False
    stamp: str = ""


def examine(
    path: Path, progress: Callable[[int], None] = lambda _: None, *, expected: str = ""
) -> ModelFile:
    """What the file or folder at ``path`` holds, all of its bytes included.

    ``progress`` is told the percentage that has been read, each time it grows.
    Raises ``ModelError`` where it is missing or something in it cannot be read,
    ``DigestError`` where its digest is another than ``expected``.
    """
    try:
        if not path.exists():
            raise ModelError(
                f"Expected a model at {path}, found nothing there.",
                tip="Check the path, or the volume that should hold it.",
            )
        beside = files_beside(path)
        files = _files(path, beside)
        # Before the bytes are read: what is replaced meanwhile has another.
        stamp = _stamp(files)
        size = sum(file.stat().st_size for file in files)
        name = digest(path, beside, _percentages(size, progress))
        if expected and name != expected:
            raise DigestError(path, expected, name)
        return ModelFile(name, size, bool(beside) or shares_pages(path), stamp)
    except OSError as error:
        raise unreadable(path, error) from error


def stamp_of(path: Path) -> str:
    """What changes when a file of the model is replaced or changed. Raises ``ModelError``."""
    try:
        return _stamp(_files(path, files_beside(path)))
    except OSError as error:
        raise unreadable(path, error) from error


def check_stamp(path: Path, stamp: str) -> None:
    """Raises ``ModelError`` where a file of the model was replaced or changed since ``examine``."""
    if stamp_of(path) != stamp:
        raise ModelError(
            f"{path}: expected the bytes whose digest was taken, found the file changed since.",
            tip="Replace a model before the server starts, or have it reload with SIGHUP.",
        )


def _files(path: Path, beside: Sequence[Path]) -> Sequence[Path]:
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    return [path, *beside]


def _stamp(files: Sequence[Path]) -> str:
    """Not the change time: another hard link, which changes it, is no other content."""
    stats = [(str(file), file.stat()) for file in sorted(files)]
    facts = [(name, one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for name, one in stats]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _percentages(size: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    read = percent = 0

    def count(more: int) -> None:
        nonlocal read, percent
        read += more
        # A file that was empty when it was measured may have grown since.
        now = min(100, 100 * read // max(size, 1))
        if now > percent:
            percent = now
            progress(now)

    return count
