"""The folder of packed layers: who uses it, what lies in it, and how it becomes smaller."""

import contextlib
import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from boxship.artifact.cache import default_folder
from boxship.files import tree_size
from boxship.oci.blobs import Blobs

BLOBS = "blobs"
"""In a note: the digests of the blobs that it speaks of, and goes with."""


@dataclass(frozen=True)
class KeptBlob:
    """A blob: its bytes with those that were unpacked from it, and when it was last used.

    ``frees`` is less where an image layout has it too, which is then the same file.
    """

    path: Path
    size: int
    used: float
    frees: int


def default_place() -> Path:
    """Beside the fetched models."""
    return default_folder() / "images"


class LayerFolder:
    """Where layers are kept, and all that builds keep beside them.

    ``blobs`` has the layers and what images are made of else, ``layers/`` says what each layer was
    made of, ``done/`` what was tried with which blobs. ``roots/`` has the Pythons of base images,
    unpacked, each under its manifest's digest; ``work/`` what a build needs while it runs. A name
    that begins with a dot is of something that is not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = Blobs(folder / "blobs")
        self.notes = folder / "layers"
        self.marks = folder / "done"
        self.roots = folder / "roots"
        self.work = folder / "work"
        self._lock = folder / "lock"

    def hold(self) -> AbstractContextManager[object]:
        """Have nobody remove anything until the end. Where that is under way, it waits."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._lock.open("ab")
        except OSError:
            # A cache that is only read: nobody could.
            return contextlib.nullcontext()
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody holds it; then nobody does until the end. Raises ``OSError``."""
        if not self.folder.exists():
            # Nothing to remove; and a build may begin at any moment.
            yield False
            return
        with self._lock.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free = True
            except BlockingIOError:
                free = False
            yield free

    def entries(self) -> list[KeptBlob]:
        """Every blob. An unpacked base image counts with its manifest."""
        found = []
        for path in (self.blobs.folder / "sha256").glob("*"):
            # Somebody may remove it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                unpacked = tree_size(self.roots / path.name)
                alone = about.st_size if about.st_nlink == 1 else 0
                size = about.st_size + unpacked
                found.append(KeptBlob(path, size, about.st_mtime, alone + unpacked))
        return found

    def remove(self, blob: KeptBlob) -> None:
        """Remove a blob and what was unpacked from it.

        Only for who is ``alone``. Raises ``OSError``.
        """
        root = self.roots / blob.path.name
        if root.exists():
            self._discard(root)
        blob.path.unlink(missing_ok=True)

    def clear(self) -> int:
        """Remove what belongs to blobs that are gone, and what did not become whole; bytes of that.

        Only for who is ``alone``. Raises ``OSError``.
        """
        there = {path.name for path in (self.blobs.folder / "sha256").glob("*")}
        for note in (*self.notes.glob("[!.]*"), *self.marks.glob("[!.]*")):
            blobs = _blobs_of(note)
            if not blobs or not there.issuperset(blobs):
                note.unlink()
        places = (self.folder, self.blobs.folder, self.notes, self.marks, self.roots)
        parts = (*self.work.glob("*"), *(one for place in places for one in place.glob(".*")))
        roots = [one for one in self.roots.glob("[!.]*") if one.name not in there]
        freed = sum(tree_size(one) for one in (*parts, *roots))
        for part in parts:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()
        for root in roots:
            self._discard(root)
        return freed

    def _discard(self, root: Path) -> None:
        """Remove an unpacked Python, which is first none any more and then gone."""
        aside = Path(tempfile.mkdtemp(dir=self.roots, prefix="."))
        root.rename(aside)
        shutil.rmtree(aside)


def _blobs_of(note: Path) -> list[str]:
    """The names of the blobs that a note speaks of; of one that cannot be read, none."""
    try:
        digests = json.loads(note.read_text(encoding="utf-8"))[BLOBS]
        return [digest.removeprefix("sha256:") for digest in digests]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
