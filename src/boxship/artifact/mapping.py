"""Whether several processes that load one file hold one copy of its arrays."""

import mmap
from pathlib import Path
from typing import Final

_MAPPED: Final = b"NumpyArrayWrapper"
"""What joblib writes before each array of an uncompressed file; those are memory-mapped."""

_COPIED: Final = b"sklearn.tree._tree"
"""scikit-learn's trees copy their arrays into memory of their own when they are loaded."""


def shares_pages(path: Path) -> bool:
    """Whether the file's arrays stay in the page cache, one copy for all workers."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(_MAPPED) >= 0 and view.find(_COPIED) < 0
