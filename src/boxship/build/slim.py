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
