"""Where a project's settings are written: ``boxship.toml``, or a table of ``pyproject.toml``."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxship.errors import UsageError

FILE_NAME = "boxship.toml"
_NO_FILE = "command line"


@dataclass(frozen=True)
class ProjectFile:
    """A project's folder, its settings as they are written, and the file's name for messages.

    ``path`` is the file itself, where it has settings.
    """

    folder: Path
    table: dict[str, Any] = field(default_factory=dict)
    source: str = _NO_FILE
    path: Path | None = None


def find(folder: Path) -> ProjectFile:
    """The settings in ``folder``; none are as good as an empty file."""
    folder = folder.resolve()
    file = folder / FILE_NAME
    if file.is_file():
        return ProjectFile(folder, read(file), str(file), file)
    pyproject = folder / "pyproject.toml"
    if pyproject.is_file():
        source = f"{pyproject} [tool.boxship]"
        tool = read(pyproject).get("tool", {})
        table = tool.get("boxship", {}) if isinstance(tool, dict) else {}
        if not isinstance(table, dict):
            raise UsageError(f"{source}: expected a table, found {table!r}")
        return ProjectFile(folder, table, source, pyproject if table else None)
    return ProjectFile(folder)


def read(file: Path) -> dict[str, Any]:
    """A TOML file. Raises ``UsageError``."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: expected valid TOML, found an error: {error}") from None
