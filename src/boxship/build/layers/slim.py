"""Which files of a package are left out of an image: none is changed, but RECORD names the rest.

Needs nothing of Boxship but the data file beside it: Dockerfiles take both along.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

DATA = Path(__file__).with_name("data") / "slim.toml"
_NOTES = frozenset({"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})
"""What an installer writes of itself, and of this machine."""
_SCRIPTS = PurePosixPath("bin")


@dataclass(frozen=True)
class Rule:
    """``why`` a path is left out that one of ``paths`` matches and no ``exceptions``."""

    why: str
    paths: re.Pattern[str]
    exceptions: re.Pattern[str]

    def takes(self, path: str) -> bool:
        """Whether ``path`` is left out."""
        return bool(self.paths.fullmatch(path)) and not self.exceptions.fullmatch(path)


@cache
def rules() -> tuple[Rule, ...]:
    """The rules of the data file."""
    return tuple(
        Rule(one["why"], _pattern(one["paths"]), _pattern(one.get("except", [])))
        for one in tomllib.loads(version())["rule"]
    )


@cache
def version() -> str:
    """Changes with the rules."""
    return DATA.read_text("utf-8")


def place(path: str) -> str:
    """Where a RECORD's ``path`` lies in the folder of packages; "" where it lies elsewhere.

    uv writes ``bin/uvicorn``, pip the place without ``--target``: ``../../bin/uvicorn``.
    """
    parts = list(PurePosixPath(path).parts)
    while parts[:1] == [".."]:
        del parts[0]
    return "" if ".." in parts or path.startswith("/") else "/".join(parts)


def stays(folder: Path, path: str, *, slimmed: bool) -> bool:
    """Whether the file at ``path`` in the folder of packages goes into the image."""
    pure = PurePosixPath(path)
    if not path or pure.suffix == ".pyc":
        return False
    if pure.parent.name.endswith(".dist-info") and pure.name in _NOTES:
        return False
    if slimmed and left_out(path):
        return False
    file = folder / path
    if not file.is_file():
        return False
    # A script names the Python that installed it, which is not the image's.
    return pure.parent != _SCRIPTS or not _is_script(file)


def _is_script(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) == b"#!"


def left_out(path: str) -> str:
    """Why the file at ``path`` under ``site-packages`` is left out; "" where it stays."""
    if ".dist-info/" in path:
        return ""
    return next((rule.why for rule in rules() if rule.takes(path)), "")


def _pattern(globs: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_regex, globs)) or r"(?!)")


def _regex(glob: str) -> str:
    parts = re.split(r"(\*\*|\*)", glob)
    return "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
