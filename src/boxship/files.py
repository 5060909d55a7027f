"""Small files that are written whole or not at all, and what makes a write last."""

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Put ``text`` into ``file`` in one step: nobody ever reads half of it. Raises ``OSError``."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}")
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o644)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Have the bytes of a file, or the names in a folder, on the disk. Raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
