"""The lines of a requirements file and of the files that it includes, as pip and uv read them.

https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from boxship import project_file
from boxship.errors import UsageError

# The "#" of an address has no space before it.
_COMMENT = re.compile(r"(?:^|\s)#.*")
_HASH = re.compile(r"\s--hash[=\s]\s*(sha256:[0-9a-f]{64})\b")
_INCLUDE = re.compile(
    r"(?:-r|--requirement|(?P<limit>-c|--constraint))(?:\s*=\s*|\s+)(?P<file>\S.*)"
)
# https://pip.pypa.io/en/stable/reference/requirements-file-format/#using-environment-variables
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


@dataclass(frozen=True)
class Line:
    """``text`` is whole and has no comment; what ``limits`` others asks for nothing by itself.

    ``index`` is the address, with its login, of the one index that may be asked for it, else "".
    """

    file: Path
    text: str
    limits: bool = False
    index: str = ""


def read(file: Path) -> tuple[Line, ...]:
    """Every line, those of included files in the place of the line that includes them.

    A file that is included twice is read once; of a pyproject.toml the lines are what its project
    depends on. Raises ``UsageError``.
    """
    return tuple(_lines(file.absolute(), limits=False, seen=set()))


def content(file: Path) -> bytes:
    """A requirements file. Raises ``UsageError``."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: expected requirements, found: {error.strerror}.") from None


def _lines(file: Path, *, limits: bool, seen: set[tuple[Path, bool]]) -> Iterator[Line]:
    if (file.resolve(), limits) in seen:
        return
    seen.add((file.resolve(), limits))
    if file.suffix == ".toml":
        yield from (Line(file, text, limits) for text in _dependencies(file))
        return
    for text in texts(content(file).decode("utf-8-sig", errors="replace")):
        if include := _INCLUDE.fullmatch(text):
            inner = _included(file, include["file"].strip("\"'"))
            yield from _lines(inner, limits=limits or bool(include["limit"]), seen=seen)
        else:
            yield Line(file, text, limits)


def texts(written: str) -> Iterator[str]:
    """The lines of a file: whole, without comments, and none that is empty."""
    found = (_COMMENT.sub("", joined).strip() for joined in _joined(written))
    return (text for text in found if text)


def hashes(text: str) -> tuple[str, frozenset[str]]:
    """What a line asks for, without its options, and the SHA-256 digests that a file of it has."""
    asked, *_ = text.partition(" --")
    return asked.strip(), frozenset(_HASH.findall(text))


def requirement(text: str) -> Requirement | None:
    """What a line asks for by its name; None of an option by itself, and of a path."""
    try:
        return Requirement(hashes(text)[0])
    except InvalidRequirement:
        return None


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """``text`` with what ``${VARIABLE}`` in it stands for; one that is not set stays."""
    return _VARIABLE.sub(lambda found: environ.get(found[1]) or found[0], text)


def _joined(text: str) -> Iterator[str]:
    """Lines whole again; a comment ends what it stands in."""
    begun = ""
    for line in text.splitlines():
        if line.endswith("\\") and not _COMMENT.match(line):
            begun += line.removesuffix("\\")
        else:
            yield f"{begun} {line}" if begun else line
            begun = ""
    yield begun


def _included(by: Path, name: str) -> Path:
    file = by.parent / name
    if "://" in name or not file.is_file():
        raise UsageError(
            f"{by}: expected a file to include, found {name!r}, which is none.",
            tip=f"Mend that line, or bring what it names here: {file.name}",
        )
    return file


def _dependencies(file: Path) -> list[str]:
    project = project_file.read(file).get("project")
    found = project.get("dependencies") if isinstance(project, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
