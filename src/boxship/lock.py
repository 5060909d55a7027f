"""``boxship.lock``: what a project was locked to, by digest."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxship.errors import UsageError
from boxship.files import write_whole

FILE_NAME = "boxship.lock"
_VERSION = 1
_HEAD = "# Written by `boxship lock`. Do not edit it: lock again.\n"


@dataclass(frozen=True)
class LockedModel:
    """A model as it was when it was locked.

    ``location`` is how the project names it. ``trusted`` says that whoever locked it vouches
    for every name in its pickle: for these bytes, and no others.
    """

    location: str
    digest: str
    size: int
    trusted: bool = False


@dataclass(frozen=True)
class Lock:
    """Everything that is locked."""

    model: LockedModel | None = None


def read(folder: Path) -> Lock:
    """The lock in ``folder``; none is as good as an empty one. Raises ``UsageError``."""
    file = folder / FILE_NAME
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lock()
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{file}: expected valid TOML, found an error: {error}", tip="Lock again: boxship lock"
        ) from None
    if table.get("version") != _VERSION:
        raise UsageError(
            f"{file}: expected version {_VERSION}, found {table.get('version')!r}.",
            tip="Another Boxship wrote it: update, or lock again with this one.",
        )
    return Lock(_model(table.get("model"), file))


def _model(table: Any, file: Path) -> LockedModel | None:
    if table is None:
        return None
    kinds = {"location": str, "digest": str, "size": int, "trusted": bool}
    if (
        not isinstance(table, dict)
        or not {"location", "digest", "size"} <= table.keys() <= kinds.keys()
        or not all(isinstance(value, kinds[key]) for key, value in table.items())
        or not table["digest"].startswith("sha256:")
    ):
        raise UsageError(
            f"{file}: [model]: expected location, digest and size, found {table!r}.",
            tip="Lock again: boxship lock",
        )
    return LockedModel(**table)


def write(folder: Path, lock: Lock) -> Path:
    """Put ``lock`` into ``folder``, whole or not at all; the file."""
    text = f"{_HEAD}version = {_VERSION}\n"
    if lock.model is not None:
        text += (
            "\n[model]\n"
            f"location = {_quoted(lock.model.location)}\n"
            f"digest = {_quoted(lock.model.digest)}\n"
            f"size = {lock.model.size}\n"
        )
        if lock.model.trusted:
            text += "trusted = true\n"
    file = folder / FILE_NAME
    write_whole(file, text)
    return file


def _quoted(text: str) -> str:
    """A TOML basic string: its escapes are JSON's, and DEL is one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
