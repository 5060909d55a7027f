"""Folders among requirements: to install one, its setup would have to be run here."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from boxship import project_file
from boxship.build import address
from boxship.build.asked import requirement_lines
from boxship.build.asked.requirement_lines import Line
from boxship.build.asked.requirements import Requirements
from boxship.errors import UsageError

_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s*=\s*|\s+)")


def check(requirements: Requirements, folder: Path, *, sources: bool) -> None:
    """Raise ``UsageError`` where uv would run a setup that nobody let it run.

    Paths are looked for in the project's ``folder`` as well, as uv does it. With ``sources``, uv
    may ask the setup of the project itself what it depends on.
    """
    if requirements.file is None or requirements.is_lock:
        return
    for line in requirements.written:
        if not line.limits and _is_one(line, folder):
            _refuse(line.file, line.text)
    if requirements.file.suffix == ".toml":
        table = project_file.read(requirements.file)
        for name in _sources(table, requirements.file, requirements.written):
            _refuse(requirements.file, f"{name} in [tool.uv.sources]")
        project = table.get("project")
        dynamic = project.get("dynamic") if isinstance(project, dict) else None
        if isinstance(dynamic, list) and "dependencies" in dynamic and not sources:
            raise UsageError(
                f"{requirements.file}: expected dependencies, found that they are dynamic: only the "
                "project's own setup tells them, which is not run here.",
                tip="Write them into a requirements.txt beside it, or into `dependencies`. Or have an "
                "engine run it: --builder docker, of lock and of build.",
            )


def _refuse(file: Path, found: str) -> None:
    raise UsageError(
        f"{file}: expected packages of an index, or wheels, found {address.shown(found)}: to "
        "install it, its setup would have to be run here.",
        tip="Take it out there, and name the folder of its modules among `code` in boxship.toml. Or "
        "make a wheel of it where you trust it, pip wheel --no-deps PLACE, and name that file in "
        "its stead: ./FILE.whl.",
    )


def _is_one(line: Line, folder: Path) -> bool:
    """Whether a line is of an editable, or of a folder that is there."""
    if _EDITABLE.match(line.text):
        return True
    text = requirement_lines.expanded(line.text, {"PROJECT_ROOT": str(folder), **os.environ})
    asked = requirement_lines.requirement(text)
    if asked is not None:
        path = asked.url or ""
    else:
        # A path may have extras, a marker and options behind it.
        path = next(iter(re.split(r"\s;|\s--", text)), "").strip()
    if path.startswith("file:"):
        path = unquote(urlsplit(path).path)
    if "://" in path or not ("/" in path or path.startswith(".")):
        return False
    places = (path, re.sub(r"\[[^\]/]*\]$", "", path).strip())
    return any((root / one).is_dir() for root in (line.file.parent, folder) for one in places)


def _sources(table: Mapping[str, Any], file: Path, lines: Sequence[Line]) -> Iterator[str]:
    """The packages for which uv's own table in a ``pyproject.toml`` names a folder."""
    tool = table.get("tool")
    uv = tool.get("uv") if isinstance(tool, dict) else None
    found = uv.get("sources") if isinstance(uv, dict) else None
    asked = {canonicalize_name(re.split(r"[^\w.-]", line.text)[0]) for line in lines}
    for name, several in found.items() if isinstance(found, dict) else ():
        for one in several if isinstance(several, list) else [several]:
            if canonicalize_name(name) not in asked or not isinstance(one, dict):
                continue
            path = one.get("path")
            is_folder = isinstance(path, str) and (file.parent / path).is_dir()
            if is_folder or one.get("workspace") is True:
                yield name
