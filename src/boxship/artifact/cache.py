"""The folder of fetched models, each under the digest of its bytes; shared by many processes."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from boxship import contract, pruning
from boxship.errors import FetchError, UsageError
from boxship.files import sync, tree_size, write_whole
from boxship.settings import size

_NAME = "boxship"


@dataclass(frozen=True)
class Cached:
    """One model: where it lies, its bytes in all, where it came from, and when it was last used."""

    digest: str
    path: Path
    size: int
    source: str
    used: float


@dataclass(frozen=True)
class _About:
    """What is written down of each model."""

    name: str
    size: int
    source: str


def default_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """``BOXSHIP_CACHE``, else the user's cache folder, else one in the temporary folder.

    The last is for containers whose root nobody may write to. Raises ``FetchError`` where
    somebody else has made it.
    """
    if given := environ.get(contract.CACHE_VARIABLE):
        return Path(given)
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "/nonexistent") / ".cache"
    folder = Path(base) / _NAME
    return folder if _writable(folder) else _temporary(f"{_NAME}-{os.getuid()}")


def default_limit(environ: Mapping[str, str] = os.environ) -> int | None:
    """``BOXSHIP_CACHE_SIZE`` in bytes; None where it is not set. Raises ``UsageError``."""
    given = environ.get(contract.CACHE_SIZE_VARIABLE)
    if not given:
        return None
    kind = size()
    try:
        limit: int = kind.parse(given)
    except ValueError:
        raise UsageError(
            f"environment variable {contract.CACHE_SIZE_VARIABLE}: expected {kind.expected}, "
            f"found {given!r}"
        ) from None
    return limit


def _temporary(name: str) -> Path:
    """A folder of this user's own where everybody may make folders of any name."""
    folder = Path(tempfile.gettempdir()) / name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise FetchError(
            f"{folder}: expected a folder that this user alone may write to, found another's.",
            tip=f"Remove it, or set {contract.CACHE_VARIABLE} to a folder of your own.",
        )
    return folder


def _writable(folder: Path) -> bool:
    existing = next((one for one in (folder, *folder.parents) if os.path.exists(one)), Path("/"))  # noqa: PTH110 (a folder that may not be entered is no error)
    return os.access(existing, os.W_OK | os.X_OK)


class Cache:
    """A folder of models.

    ``models/sha256-<hex>/<name>`` holds whole ones only, and ``models/sha256-<hex>.json``
    what is known of each; ``known/`` says which digest an object had; ``partial/`` holds
    what has not arrived yet. Everything moves in by a rename.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models = folder / "models"
        self._known = folder / "known"
        self._partial = folder / "partial"
        self._locks = folder / "locks"

    def find(self, digest: str) -> Cached | None:
        """The model with this digest, if it is here."""
        holder = self._models / _file_name(digest)
        about = self._about(digest)
        if about is None or not holder.is_dir():
            return None
        path = holder / about.name
        if not path.exists():
            return None
        with contextlib.suppress(OSError):  # a cache that is only read
            os.utime(self._about_file(digest))
        return Cached(digest, path, about.size, about.source, time.time())

    def known_digest(self, address: str, identity: str) -> str:
        """The digest of what once came from ``address`` with this ``identity``; "" if none did.

        No ``identity`` is nobody's.
        """
        if not identity:
            return ""
        try:
            return (self._known / _key(address, identity)).read_text()
        except OSError:
            return ""

    @contextlib.contextmanager
    def arriving(self, address: str) -> Iterator[Path]:
        """A folder for what comes from ``address``; one process at a time has it.

        What an earlier one has left is in it. Raises ``FetchError`` where nothing can be written.
        """
        key = _key(address)
        folder = self._partial / key
        try:
            for needed in (self._models, self._known, self._locks, folder):
                needed.mkdir(parents=True, exist_ok=True)
            lock = (self._locks / key).open("a")
        except OSError as error:
            raise FetchError(
                f"{self.folder}: expected a folder for models that can be written, "
                f"found {error.strerror}.",
                tip=f"Set {contract.CACHE_VARIABLE} to one, on a volume with room for the model.",
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever had it before has removed it.
            folder.mkdir(exist_ok=True)
            yield folder

    def keep(
        self,
        whole: Path,
        digest: str,
        *,
        name: str,
        size: int,
        source: str,
        address: str,
        identity: str,
    ) -> Cached:
        """Move ``whole`` in under its digest. One that is there already is left to its readers.

        ``source`` is ``address`` as it may be shown, and all of it that is written down.
        """
        holder = self._models / _file_name(digest)
        with self._locked(digest):
            found = self.find(digest)
            if found is None:
                self._discard(holder)
                # Beside what arrives, which nobody else may clear away.
                staged = Path(tempfile.mkdtemp(dir=whole.parent))
                whole.rename(staged / name)
                sync(staged)
                staged.chmod(0o755)
                staged.rename(holder)
                sync(self._models)
                about = _About(name, size, source)
                write_whole(self._about_file(digest), json.dumps(asdict(about)))
                found = Cached(digest, holder / name, size, source, time.time())
        if identity:
            write_whole(self._known / _key(address, identity), digest)
        return found

    def entries(self) -> Sequence[Cached]:
        """Every whole model, the one that was used last first."""
        found = []
        for file in self._models.glob("sha256-*.json"):
            digest = file.stem.replace("-", ":", 1)
            about = self._about(digest)
            path = self._models / file.stem / about.name if about else None
            if about and path and path.exists():
                used = file.stat().st_mtime
                found.append(Cached(digest, path, about.size, about.source, used))
        return sorted(found, key=lambda one: one.used, reverse=True)

    def prune(self, most_bytes: int, *, spare: Sequence[str] = ()) -> Sequence[Cached]:
        """Remove models, the longest unused first, until the rest fits; those that were removed.

        ``spare`` are digests that stay, and so do models that a process holds.
        """
        return pruning.prune(
            self.entries(),
            most_bytes,
            lambda one: one.digest not in spare and self.remove_unused(one),
        )

    def hold(self, digest: str) -> IO[bytes] | None:
        """Have nobody prune the model while the answer is open; None where nobody could.

        That is where the cache is only read.
        """
        try:
            held = self._use_file(digest).open("ab")
        except OSError:
            return None
        fcntl.flock(held, fcntl.LOCK_SH)
        return held

    def remove_unused(self, model: Cached) -> bool:
        """Remove a model, unless a process holds it; whether it is gone."""
        with self._use_file(model.digest).open("ab") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.remove(model)
            return True

    def remove(self, model: Cached) -> None:
        """Forget a model. It is first no model any more, and then gone."""
        with self._locked(model.digest):
            self._about_file(model.digest).unlink(missing_ok=True)
            self._discard(self._models / _file_name(model.digest))

    def clear_partial(self) -> int:
        """Remove what has not arrived whole and nobody is bringing; its bytes."""
        freed = 0
        for folder in self._partial.glob("*"):
            lock = self._locks / folder.name
            with lock.open("a") as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                freed += tree_size(folder)
                shutil.rmtree(folder, ignore_errors=True)
        return freed

    def _discard(self, holder: Path) -> None:
        """Remove a folder of ``models/``, which vanishes from there in one step."""
        if holder.exists():
            aside = Path(tempfile.mkdtemp(dir=self._models, prefix="."))
            holder.rename(aside / "model")
            shutil.rmtree(aside, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, digest: str) -> Iterator[None]:
        with (self._locks / _file_name(digest)).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _use_file(self, digest: str) -> Path:
        return self._locks / f"{_file_name(digest)}.use"

    def _about_file(self, digest: str) -> Path:
        return self._models / f"{_file_name(digest)}.json"

    def _about(self, digest: str) -> "_About | None":
        try:
            return _About(**json.loads(self._about_file(digest).read_text()))
        except (OSError, ValueError, TypeError):
            return None


def _file_name(digest: str) -> str:
    return digest.replace(":", "-", 1)


def _key(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
