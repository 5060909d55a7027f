"""The package indexes that a project of uv names, with the logins that reach them.

https://docs.astral.sh/uv/concepts/indexes/
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxship import project_file
from boxship.build import address, uv_program
from boxship.build.asked.requirement_lines import Line


@dataclass(frozen=True)
class Index:
    """``url`` is with its login; the ``default`` one is asked for what no other is named for."""

    url: str
    default: bool = False


@dataclass(frozen=True)
class Indexes:
    """Those that are named, by their addresses without a login and without a last slash."""

    named: Mapping[str, Index]

    @property
    def default(self) -> str:
        """The address of the default one, "" for the usual one."""
        return next((one.url for one in self.named.values() if one.default), "")

    def beside_default(self, url: str) -> str:
        """``url`` with its login, where it is of an index that has to be asked by its name."""
        plain = _plain(url)
        found = self.named.get(plain, Index(url))
        usual = found.default or not url or plain == _plain(uv_program.usual_index())
        return "" if usual else found.url


def options(indexes: Indexes, lines: Sequence[Line]) -> Iterator[Line]:
    """The lines of a requirements file that name the indexes which ``lines`` come from."""
    if indexes.default and lines:
        yield Line(lines[0].file, f"--index-url {indexes.default}")
    for url in dict.fromkeys(line.index for line in lines if line.index):
        yield Line(lines[0].file, f"--extra-index-url {url}")


def find(folder: Path, environ: Mapping[str, str]) -> Indexes:
    """What the project in ``folder`` says; a ``uv.toml`` counts instead of what is beside it.

    Raises ``UsageError``.
    """
    return Indexes({_plain(one.url): one for one in _named(_settings(folder), environ)})


def _settings(folder: Path) -> Mapping[str, Any]:
    if (folder / "uv.toml").is_file():
        return project_file.read(folder / "uv.toml")
    if not (folder / "pyproject.toml").is_file():
        return {}
    tool = project_file.read(folder / "pyproject.toml").get("tool")
    found = tool.get("uv") if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else {}


def _named(settings: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Index]:
    extra, one = settings.get("extra-index-url"), settings.get("index-url")
    yield from (Index(url) for url in (extra if isinstance(extra, list) else ()))
    if isinstance(one, str):
        yield Index(one, default=True)
    several = settings.get("index")
    for table in several if isinstance(several, list) else ():
        if isinstance(table, dict) and isinstance(table.get("url"), str):
            url = with_login(table["url"], str(table.get("name", "")), environ)
            yield Index(url, default=table.get("default") is True)


def with_login(url: str, name: str, environ: Mapping[str, str]) -> str:
    """``url`` with the login that uv's own variables have for an index of that name."""
    variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
    user, password = environ.get(f"{variable}_USERNAME"), environ.get(f"{variable}_PASSWORD")
    if not name or not (user or password):
        return url
    return address.with_login(url, user or "", password or "")


def _plain(url: str) -> str:
    return address.bare(url).rstrip("/")
