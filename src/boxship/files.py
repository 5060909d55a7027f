"""Small files that are written whole or not at all, and what makes a write last."""

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# Of Linux: fcntl.h and linux/fs.h.
_HERE = -100
_EXCHANGE = 2


def write_whole(file: Path, text: str) -> None:
    """Put ``text`` into ``file`` in one step: nobody ever reads half of it. Raises ``OSError``."""
    with replacing(file) as out:
        out.write(text.encode())
        out.flush()
        os.fsync(out.fileno())


@contextlib.contextmanager
def naming(place: Path) -> Iterator[None]:
    """Have an ``OSError`` name ``place`` where it names nothing, as that of a full disk does."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(place)
        raise


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """What is written takes the place of ``file`` at the end, if nothing was raised.

    Raises ``OSError``.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}")
    part = Path(name)
    try:
        with naming(file), os.fdopen(handle, "wb") as out:
            yield out
        part.chmod(0o644)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def put_in_place(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``; a folder there is exchanged for it in the same step.

    What was there is then where ``source`` was. Raises ``OSError``.
    """
    if not target.is_dir() and not (source.is_dir() and target.exists()):
        source.replace(target)
        return
    # Python's rename replaces no folder that has something in it.
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(source), os.fsencode(target)
    if libc.renameat2(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def tree_size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; none, where there is none."""
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    return sum(one.lstat().st_size for one in path.rglob("*") if one.is_file())


def sync(path: Path) -> None:
    """Have the bytes of a file, or the names in a folder, on the disk. Raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
