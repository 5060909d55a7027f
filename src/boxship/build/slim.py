"""Which files of a package are left out of an image: none is ever changed.

Needs nothing of Boxship but the data file beside it: Dockerfiles take both along.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("data") / "slim.toml"


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


NOTES = frozenset({"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})
"""What an installer writes of itself, and of this machine."""
_SCRIPTS = "bin"


def is_note(path: str) -> bool:
    """Whether a file of a ``dist-info`` folder is an installer's own."""
    return path.rpartition("/")[0].endswith(".dist-info") and Path(path).name in NOTES


def script(folder: Path, path: str) -> Path | None:
    """The console script that a RECORD's ``path`` means, if it does; ``folder`` has the packages.

    Its first line names the Python that installed it, which is not the image's. uv writes
    ``bin/uvicorn``, pip the place that it would have without ``--target``: ``../../bin/uvicorn``.
    """
    parts = Path(path).parts
    if parts[-2:-1] != (_SCRIPTS,) or not set(parts[:-2]) <= {".."}:
        return None
    file = folder / _SCRIPTS / parts[-1]
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return file if opened.read(2) == b"#!" else None


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
