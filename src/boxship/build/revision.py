"""Which commit of which repository a project's folder is, as its git says."""

import os
from dataclasses import dataclass
from pathlib import Path

from boxship import process
from boxship.build import address
from boxship.errors import BoxshipError

_COMMIT = "# branch.oid "
_NONE_YET = "(initial)"


@dataclass(frozen=True)
class Revision:
    """``commit`` ends in ``-dirty`` where files differ from it; ``source`` is where it came from.

    Both are "" where nobody knows: there is no repository, no git, or git does not trust it.
    """

    commit: str = ""
    source: str = ""


def find(folder: Path) -> Revision:
    """The revision of ``folder``. Files that git does not track say nothing of it."""
    if not _git(folder, "ls-files", "--", "."):
        return Revision()
    lines = _git(
        folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", "."
    ).splitlines()
    commit = next((line.removeprefix(_COMMIT) for line in lines if line.startswith(_COMMIT)), "")
    if commit in ("", _NONE_YET):
        return Revision()
    changed = any(not line.startswith("#") for line in lines)
    source = address.bare(_git(folder, "config", "--get", "remote.origin.url").strip())
    return Revision(f"{commit}-dirty" if changed else commit, source)


def _git(folder: Path, *arguments: str) -> str:
    """What git says; "" where it cannot."""
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # a look changes nothing
    try:
        done = process.run(["git", *arguments], environ=environ, cwd=folder)
    except BoxshipError:
        return ""
    return done.stdout if done.code == 0 else ""
