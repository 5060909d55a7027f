"""A ``uv.lock``: the very versions that uv chose, each from the index where it found it."""

import os
import re
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from boxship import project_file
from boxship.build import uv_program
from boxship.build.asked import requirement_lines, uv_indexes
from boxship.build.asked.not_in_index import NotInIndex
from boxship.build.asked.requirement_lines import Line
from boxship.errors import UsageError

FILE_NAME: Final = "uv.lock"
# As the lock is: no file is written, and nobody is asked.
_EXPORT = (
    "export", "--quiet", "--frozen", "--offline", "--no-dev", "--no-emit-project", "--no-header",
    "--no-annotate", "--format", "requirements-txt", "--project", ".",
)  # fmt: skip
_PINNED = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)")
_DIRECT = re.compile(r"[\w.-]+ @ (?P<address>\S+)")
_PATH = re.compile(r"(?:-e )?(?P<path>.+?)(?P<rest>(?: ;.*)?(?:\s+--hash=.*)?)")


def read(file: Path, code: tuple[Path, ...]) -> tuple[Line, ...]:
    """What the project beside ``file`` needs, but for its development; its indexes come first.

    ``code`` are the paths that are shipped. Raises ``UsageError``, and ``BuildError`` with what
    uv says.
    """
    if not file.with_name("pyproject.toml").is_file():
        raise UsageError(
            f"{file}: expected the pyproject.toml that it is of beside it, found none.",
            tip="Bring it there, or name another file in boxship.toml: [image] requirements",
        )
    origins = _origins(file)
    indexes = uv_indexes.find(file.parent, os.environ)
    elsewhere = NotInIndex(file, code)
    lines = []
    for text in requirement_lines.texts(uv_program.run(_EXPORT, file.parent)):
        if pinned := _PINNED.match(text):
            origin = origins.get((canonicalize_name(pinned["name"]), pinned["version"]), "")
            if origin and "://" not in origin:
                elsewhere.refused.append(f"{pinned[0]} of the folder {origin}")
            lines.append(Line(file, text, index=indexes.beside_default(origin)))
        elif direct := _DIRECT.match(text):
            if not direct["address"].startswith(("https://", "http://")):
                elsewhere.refused.append(direct["address"])
            lines.append(Line(file, text))
        elif (path := _PATH.fullmatch(text)) and (asked := elsewhere.asked(path["path"])):
            lines.append(Line(file, asked + path["rest"]))
    elsewhere.check()
    return (*uv_indexes.options(indexes, lines), *lines)


def _origins(file: Path) -> dict[tuple[str, str], str]:
    """The index, or the folder that is one, of each version of each distribution."""
    found: dict[tuple[str, str], str] = {}
    packages = project_file.read(file).get("package")
    for package in packages if isinstance(packages, list) else ():
        # Of a lock that is none, uv says so.
        source = package.get("source") if isinstance(package, dict) else None
        if isinstance(source, dict) and isinstance(source.get("registry"), str):
            name = canonicalize_name(str(package.get("name")))
            found[name, str(package.get("version"))] = source["registry"]
    return found
