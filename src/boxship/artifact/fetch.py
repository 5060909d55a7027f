"""A model from wherever it lies into the cache: verified while it comes, whole or not at all."""

import asyncio
import errno
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from boxship.artifact.cache import Cache, Cached
from boxship.artifact.digest import digest as digest_of, of_files
from boxship.artifact.room import expect_room
from boxship.errors import BoxshipError, DigestError, FetchError, ModelError
from boxship.files import put_in_place, sync
from boxship.location import Location

if TYPE_CHECKING:
    from boxship.artifact.remote.listing import Entry

_SHOWN = 8
_TRIES = 3
"""An object that is replaced while it is read is read anew, so often."""
_ANEW = "anew"
_OWN_CACHE = ".boxship-fetch"

logger = logging.getLogger("boxship.fetch")


@dataclass(frozen=True)
class Progress:
    """How far a fetch has come: bytes of all bytes."""

    done: int
    size: int

    @property
    def percent(self) -> int:
        """0 to 100."""
        return 100 * self.done // self.size if self.size else 100


@dataclass(frozen=True)
class Fetched:
    """A model that is here: what came over the network for it, and how long that took.

    ``identity`` is the store's word for the very object, "" where it was not asked or has none.
    """

    model: Cached
    read_bytes: int = 0
    seconds: float = 0.0
    identity: str = ""


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Brings models into ``cache``. ``told`` hears of progress, whenever the percentage grows.

    A cache of more than ``most_bytes`` is pruned afterwards; the model that was asked for stays.
    ``single`` says that a folder would be of no use: it is refused before any of it is read.
    """

    cache: Cache
    allow_http: bool = False
    most_bytes: int | None = None
    single: bool = False
    told: Callable[[Progress], None] = lambda _: None

    def __call__(self, location: Location) -> Fetched:
        """The model at ``location``. Blocks until it is here whole. Raises ``FetchError``."""
        fetched = self._fetched(location)
        if self.most_bytes is not None:
            try:
                self.cache.prune(self.most_bytes, spare=(fetched.model.digest,))
            except OSError as error:
                logger.warning("the cache stays larger than allowed: %s", error)
        return fetched

    def _fetched(self, location: Location) -> Fetched:
        try:
            if location.digest and (kept := self._kept(location.digest)):
                return Fetched(kept)
        except OSError as error:
            raise _disk_error(error, self.cache) from error
        try:
            import obstore as _  # noqa: F401
        except ImportError:
            raise FetchError(
                f"{location}: reading from stores needs obstore, which is not installed.",
                tip="Install it: pip install 'boxship[stores]'",
            ) from None
        from boxship.artifact.remote import mishaps

        began = monotonic()
        for left in reversed(range(_TRIES)):
            try:
                with self.cache.arriving(location.url) as folder:
                    return asyncio.run(self._bring(location, folder, began))
            except mishaps.ReplacedError as error:
                if not left:
                    raise mishaps.in_words(error, location) from None
            except OSError as error:
                raise _disk_error(error, self.cache) from error
            except BoxshipError:
                raise
            except Exception as error:
                # Whatever a store says: obstore has errors of many kinds, a hub's answer may be any.
                raise mishaps.in_words(error, location) from error
        raise AssertionError  # the last try has returned or raised

    def identity(self, location: Location) -> str:
        """What the store calls the object that is at ``location`` now. Raises ``FetchError``."""
        from boxship.artifact.remote import listing as remote, mishaps

        try:
            return asyncio.run(remote.read(location, allow_http=self.allow_http)).identity()
        except BoxshipError:
            raise
        except Exception as error:
            raise mishaps.in_words(error, location) from error

    def into(self, folder: Path, location: Location) -> Fetched:
        """The same, into ``folder`` under the model's own name, without the cache.

        What has that name there is replaced. One process at a time works in ``folder``.
        """
        own = Cache(folder / _OWN_CACHE)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
        except OSError as error:
            found = "a file" if isinstance(error, FileExistsError) else error.strerror
            raise FetchError(
                f"{folder}: expected a folder for the model, found {found}.",
                tip="Name another folder, or remove what is there.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            fetched = replace(self, cache=own, most_bytes=None)(location)
            model = fetched.model
            path = folder / model.path.name
            put_in_place(model.path, path)
            os.fsync(handle)
            shutil.rmtree(own.folder, ignore_errors=True)
        except OSError as error:
            raise _disk_error(error, own) from error
        finally:
            os.close(handle)
        return replace(fetched, model=replace(model, path=path))

    def _kept(self, digest: str) -> Cached | None:
        """The model with this digest, if it is here and its bytes still are what they were."""
        kept = self.cache.find(digest)
        try:
            if kept is None or digest_of(kept.path) == digest:
                return kept
        except ModelError:
            # Somebody has pruned it meanwhile.
            return None
        self.cache.remove(kept)
        return None

    async def _bring(self, location: Location, folder: Path, began: float) -> Fetched:
        from boxship.artifact.remote import listing as remote, transfer
        from boxship.artifact.remote.mishaps import ReplacedError

        listing = await remote.read(location, allow_http=self.allow_http)
        identity = listing.identity()
        if self.single and listing.is_folder:
            raise _too_many(location, listing.entries)
        known = self.cache.known_digest(location.url, identity)
        if known and (kept := self._kept(known)):
            _expect(location, known)
            return Fetched(kept, identity=identity)
        files = _room_for(identity, folder)
        here = sum(one.stat().st_size for one in files.rglob("*") if one.is_file())
        expect_room(self.cache.folder, listing.size - here)
        meter = _Meter(listing.size, self.told)
        window = transfer.Window(transfer.REQUESTS_AHEAD)
        width = asyncio.Semaphore(transfer.REQUESTS_AHEAD)

        async def bring(entry: remote.Entry) -> str:
            async with width:
                file = files / entry.name
                file.parent.mkdir(parents=True, exist_ok=True)
                found = await transfer.copy(listing.store, entry, file, meter.add, window)
                await asyncio.to_thread(sync, file)
                return found

        try:
            async with asyncio.TaskGroup() as group:
                tasks = {one.name: group.create_task(bring(one)) for one in listing.entries}
        except BaseExceptionGroup as group:
            replaced, others = group.split(ReplacedError)
            if replaced is not None:
                raise replaced.exceptions[0] from None
            raise (others or group).exceptions[0] from None
        hexes = {name: task.result() for name, task in tasks.items()}
        single = next(iter(hexes))
        digest = of_files(hexes) if listing.is_folder else f"sha256:{hexes[single]}"
        try:
            _expect(location, digest)
        except DigestError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        whole = files if listing.is_folder else files / single
        name = location.name if listing.is_folder else single
        kept = self.cache.keep(
            whole,
            digest,
            name=name,
            size=listing.size,
            source=str(location),
            address=location.url,
            identity=identity,
        )
        shutil.rmtree(folder, ignore_errors=True)
        return Fetched(kept, listing.size - here, monotonic() - began, identity)


class _Meter:
    """Adds up what arrives, and tells of each new percent."""

    def __init__(self, size: int, told: Callable[[Progress], None]) -> None:
        self._size = size
        self._told = told
        self._done = 0
        self._percent = -1

    def add(self, more: int) -> None:
        self._done += more
        now = Progress(self._done, self._size)
        if now.percent != self._percent:
            self._percent = now.percent
            self._told(now)


def _expect(location: Location, digest: str) -> None:
    if location.digest and digest != location.digest:
        raise DigestError(location, location.digest, digest)


def _room_for(identity: str, folder: Path) -> Path:
    """Where the files of one object arrive: what came of another one goes, never into this one.

    Raises ``OSError``.
    """
    name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    files = folder / (name if identity else _ANEW)
    for other in folder.iterdir():
        if other != files or not identity:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    files.mkdir(exist_ok=True)
    return files


def _too_many(location: Location, entries: Sequence["Entry"]) -> FetchError:
    names = [entry.name for entry in entries[:_SHOWN]]
    more = f", and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    base = str(location).rstrip("/")
    return FetchError(
        f"{location}: expected one model file, found a folder of {len(entries)}: "
        f"{', '.join(names)}{more}.",
        tip=f"Name the file, such as {base}/{names[0]}, or have a service load the folder.",
    )


def _disk_error(error: OSError, cache: Cache) -> FetchError:
    tip = "Set BOXSHIP_CACHE to a folder that can be written, with room for the model."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        tip = "What has arrived is kept: make room and fetch again, or set BOXSHIP_CACHE."
    return FetchError(f"{cache.folder}: the model could not be written: {error.strerror}.", tip=tip)
