"""What lies at a location: one object, or all under a prefix."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import obstore
from obstore import exceptions

from boxship.artifact.remote import stores
from boxship.artifact.remote.mishaps import MissingError, asking
from boxship.artifact.remote.stores import Place
from boxship.errors import FetchError
from boxship.location import HTTP, HUB, Location, hub_place


@dataclass(frozen=True)
class Entry:
    """One object. ``name`` is its path in the folder that is made; ``tag`` changes with it."""

    name: str
    key: str
    size: int
    tag: str


@dataclass(frozen=True)
class Listing:
    """What is to be brought: a file, or a folder of them, and where from."""

    store: Any
    entries: Sequence[Entry]
    is_folder: bool

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(entry.size for entry in self.entries)

    def identity(self) -> str:
        """Changes when any object does; "" where an object has nothing that does."""
        if not all(one.tag for one in self.entries):
            return ""
        return json.dumps([[one.name, one.size, one.tag] for one in self.entries])


async def read(location: Location, *, allow_http: bool = False) -> Listing:
    """Ask the store. Raises ``FetchError`` and obstore's own errors."""
    if location.store == HUB:
        return await _hub(location)
    place = stores.open_place(location, allow_http=allow_http)
    if place.key and not place.key.endswith("/"):
        name = PurePosixPath(place.key).name
        if location.store == HTTP:
            entry = await _web_entry(place.store, place.key, name)
            return Listing(place.store, [entry], is_folder=False)
        with contextlib.suppress(MissingError):
            entry = await _entry(place.store, place.key, name)
            # Some tools make an empty object of a folder's name.
            if entry.size:
                return Listing(place.store, [entry], is_folder=False)
    if location.store == HTTP:
        raise FetchError(
            f"{location}: expected the address of a file, found that of a folder.",
            tip="Web servers do not list their folders: name each file, or use an object store.",
        )
    return await _prefix(location, place)


async def _entry(store: Any, key: str, name: str) -> Entry:
    """What the store says of one object."""
    with asking():
        meta = await obstore.head_async(store, key)
    return Entry(name, key, int(meta["size"]), tag_of(meta))


async def _web_entry(store: Any, key: str, name: str) -> Entry:
    """The same of a web server, which may know no HEAD: nor does an address presigned for GET."""
    with contextlib.suppress(MissingError, exceptions.BaseError):
        entry = await _entry(store, key, name)
        # Servers that make their answers as they go say 0 where they mean that they do not know.
        if entry.size:
            return entry
    with asking():
        try:
            result = await obstore.get_async(store, key, options={"range": (0, 1)})
        except (exceptions.BaseError, FileNotFoundError):
            result = await obstore.get_async(store, key)
        meta = result.meta
    return Entry(name, key, int(meta["size"]), tag_of(meta))


def tag_of(meta: Mapping[str, Any]) -> str:
    """What changes with an object's bytes; "" where nothing is known to.

    Lists give some stores' tags without quotes, all else with them.
    """
    if tag := meta.get("e_tag"):
        return str(tag).strip('"') if not str(tag).startswith("W/") else str(tag)
    modified = meta["last_modified"]
    return str(modified.isoformat()) if modified.timestamp() > 0 else ""


async def _prefix(location: Location, place: Place) -> Listing:
    prefix = place.key.rstrip("/")
    entries: list[Entry] = []
    with asking():
        async for page in obstore.list(place.store, prefix or None, chunk_size=1000):
            for meta in page:
                key = str(meta["path"])
                name = key.removeprefix(f"{prefix}/") if prefix else key
                if name and (name != key or not prefix):
                    name = _inside(name, location)
                    entries.append(Entry(name, key, int(meta["size"]), tag_of(meta)))
    folders = {str(folder) for one in entries for folder in PurePosixPath(one.name).parents}
    for one in entries:
        if one.name in folders and one.size:
            raise FetchError(
                f"{location}: expected files and folders, found {one.name!r} to be both.",
                tip="No disk can hold that: give one of them another name.",
            )
    # What is left of a folder's name is empty: consoles make such objects.
    files = sorted([one for one in entries if one.name not in folders], key=lambda one: one.name)
    if not files:
        raise MissingError
    return Listing(place.store, files, is_folder=True)


def _inside(name: str, location: Location) -> str:
    """``name``, which must stay inside the folder that it is written to."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in name or "\\" in name:
        raise FetchError(f"{location}: expected names of files below it, found {name!r}.")
    return name


async def _hub(location: Location) -> Listing:
    """A repository's files, all of one commit."""
    hub = hub_place(location.url)
    store = stores.hub_store()
    about = f"api/models/{hub.repository}/revision/{quote(hub.revision, safe='')}"
    with asking():
        page = json.loads(bytes(await (await obstore.get_async(store, about)).bytes_async()))
    commit = str(page["sha"])
    names = sorted(str(one["rfilename"]) for one in page["siblings"])
    wanted = [name for name in names if not hub.file or name == hub.file]
    is_folder = not wanted or not hub.file
    if not wanted:
        wanted = [name for name in names if name.startswith(f"{hub.file}/")]
    if not wanted:
        raise MissingError
    entries = []
    for name in wanted:
        key = f"{hub.repository}/resolve/{commit}/{name}"
        inner = name.removeprefix(f"{hub.file}/") if is_folder else PurePosixPath(name).name
        entries.append(await _web_entry(store, key, _inside(inner, location)))
    return Listing(store, entries, is_folder=is_folder)
