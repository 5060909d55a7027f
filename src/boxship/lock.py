"""``boxship.lock``: what a project was locked to, by digest."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from boxship.errors import UsageError
from boxship.files import write_whole

FILE_NAME = "boxship.lock"
_VERSION = 1
_HEAD = "# Written by `boxship lock`. Do not edit it: lock again.\n"
AGAIN = "Lock again: boxship lock"
"""The next step where a lock is of no use any more."""


@dataclass(frozen=True)
class LockedModel:
    """A model as it was when it was locked.

    ``location`` is how the project names it. ``trusted`` says that whoever locked it vouches
    for every name in its pickle: for these bytes, and no others. ``needs`` are the requirements
    that serve it by itself, where it is not here to be asked.
    """

    location: str
    digest: str
    size: int
    trusted: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class LockedBase:
    """A base image as it was when it was locked.

    ``name`` is how the project names it; ``python`` is the minor version of its Python, which is
    at ``executable`` and finds what was installed after it in ``site_packages``; ``glibc`` is the
    version of its C library. ``platforms`` has the digest of its manifest for each platform, and
    ``sizes`` the compressed bytes of its layers.
    """

    name: str
    python: str
    executable: str
    glibc: str
    site_packages: str
    platforms: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LockedWheel:
    """One distribution to install: the file of it, and the digest and size in bytes of that file.

    ``place`` is "" for what an index has, else the file's path in the project, or its address.
    ``left_out`` of its bytes are those of files that slimming leaves out, as far as is known.
    """

    name: str
    version: str
    file: str
    digest: str
    size: int
    place: str = ""
    left_out: int = 0

    @property
    def is_source(self) -> bool:
        """Whether there is no wheel of it: an engine makes one while it builds the image."""
        return not self.file.endswith(".whl")


@dataclass(frozen=True)
class LockedRequirements:
    """What is installed: for each platform, every distribution.

    ``digest`` is that of what was asked for, by which a lock is known to be stale; ``indexes``
    are the addresses, without credentials, where it was found, the first first.
    """

    digest: str
    indexes: tuple[str, ...] = ()
    wheels: Mapping[str, tuple[LockedWheel, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Lock:
    """Everything that is locked."""

    model: LockedModel | None = None
    base: LockedBase | None = None
    requirements: LockedRequirements | None = None


def read(folder: Path) -> Lock:
    """The lock in ``folder``; none is as good as an empty one. Raises ``UsageError``."""
    file = folder / FILE_NAME
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lock()
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{file}: expected valid TOML, found an error: {error}", tip=AGAIN
        ) from None
    if table.get("version") != _VERSION:
        raise UsageError(
            f"{file}: expected version {_VERSION}, found {table.get('version')!r}.",
            tip="Another Boxship wrote it: update, or lock again with this one.",
        )
    return Lock(
        _record(LockedModel, table.get("model"), f"{file}: [model]"),
        _base(table.get("base"), f"{file}: [base]"),
        _requirements(table.get("requirements"), f"{file}: [requirements]"),
    )


Record = TypeVar("Record", LockedModel, LockedWheel)


def _record(of: type[Record], table: Any, where: str) -> Record | None:
    if table is None:
        return None
    kinds = dict(of.__annotations__)
    needed = [key for key in kinds if not hasattr(of, key)]
    if (
        not isinstance(table, dict)
        or not set(needed) <= table.keys() <= kinds.keys()
        or not all(_fits(value, kinds[key]) for key, value in table.items())
        or not table["digest"].startswith("sha256:")
    ):
        raise UsageError(f"{where}: expected {', '.join(needed)}, found {table!r}.", tip=AGAIN)
    values: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in table.items()
    }
    return of(**values)


def _fits(value: Any, kind: Any) -> bool:
    if kind == tuple[str, ...]:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, kind)


def _base(table: Any, where: str) -> LockedBase | None:
    if table is None:
        return None
    match table:
        case {
            "name": str(name),
            "python": str(python),
            "executable": str(executable),
            "glibc": str(glibc),
            "site_packages": str(site_packages),
            "platforms": dict(platforms),
            "sizes": dict(sizes),
        } if all(isinstance(one, str) for one in platforms.values()) and all(
            isinstance(one, int) for one in sizes.values()
        ):
            return LockedBase(name, python, executable, glibc, site_packages, platforms, sizes)
    raise UsageError(f"{where}: expected what `boxship lock` writes, found {table!r}.", tip=AGAIN)


def _requirements(table: Any, where: str) -> LockedRequirements | None:
    if table is None:
        return None
    match table:
        case {"digest": str(digest), "indexes": list(indexes), "wheels": dict(wheels)} if all(
            isinstance(entries, list) for entries in wheels.values()
        ):
            found = {
                platform: tuple(
                    wheel
                    for entry in entries
                    if (wheel := _record(LockedWheel, entry, f"{where}: wheels")) is not None
                )
                for platform, entries in wheels.items()
            }
            return LockedRequirements(digest, tuple(map(str, indexes)), found)
    raise UsageError(f"{where}: expected digest, indexes and wheels, found {table!r}.", tip=AGAIN)


def write(folder: Path, lock: Lock) -> Path:
    """Put ``lock`` into ``folder``, whole or not at all; the file. Raises ``OSError``."""
    file = folder / FILE_NAME
    write_whole(file, as_text(lock))
    return file


def as_text(lock: Lock) -> str:
    """The lock as it is written: one line for each thing that may change."""
    text = f"{_HEAD}version = {_VERSION}\n"
    if lock.model is not None:
        text += _table("model", vars(lock.model))
    if lock.base is not None:
        base = vars(lock.base)
        text += _table("base", {key: base[key] for key in base if isinstance(base[key], str)})
        text += _table("base.platforms", lock.base.platforms)
        text += _table("base.sizes", lock.base.sizes)
    if lock.requirements is not None:
        found = lock.requirements
        text += _table("requirements", {"digest": found.digest, "indexes": list(found.indexes)})
        text += "\n[requirements.wheels]\n"
        for platform, wheels in found.wheels.items():
            text += f"{_quoted(platform)} = [\n"
            text += "".join(f"  {{ {_inline(wheel)} }},\n" for wheel in wheels) + "]\n"
    return text


def _table(name: str, values: Mapping[str, Any]) -> str:
    lines = [
        f"{_key(key)} = {_value(value)}\n"
        for key, value in values.items()
        if value is not False and value != ()
    ]
    return f"\n[{name}]\n{''.join(lines)}"


def _inline(wheel: LockedWheel) -> str:
    return ", ".join(
        f"{key} = {_value(value)}"
        for key, value in vars(wheel).items()
        if value != getattr(LockedWheel, key, None)
    )


def _key(text: str) -> str:
    return text if text.isidentifier() else _quoted(text)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_quoted(one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(text: str) -> str:
    """A TOML basic string: its escapes are JSON's, and DEL is one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
