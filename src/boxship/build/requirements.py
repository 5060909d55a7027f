"""What an image has to have installed: the user's requirements, and what serves the model."""

import hashlib
import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from boxship.artifact import formats, pickles
from boxship.artifact.formats import Format
from boxship.errors import UsageError
from boxship.project import Project

_OWN = "boxship"
_INCLUDED = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]\s*(?P<file>[^\s#]+)")
# Beside what scikit-learn itself brings along.
_BOOSTING = ("xgboost", "lightgbm")
_FRAMES = "sklearn.compose"


@dataclass(frozen=True)
class Requirements:
    """``file`` is the user's own, if they have one; ``lines`` are what Boxship adds to it."""

    file: Path | None
    lines: tuple[str, ...]

    def digest(self, *context: str) -> str:
        """Of everything that is asked for; ``context`` is what else a lock depends on."""
        taken = hashlib.sha256()
        for part in (*self._contents(), *(line.encode() for line in (*self.lines, *context))):
            taken.update(len(part).to_bytes(8) + part)
        return f"sha256:{taken.hexdigest()}"

    def _contents(self) -> Iterator[bytes]:
        """The user's file and those that it includes, once each."""
        waiting, seen = [self.file] if self.file else [], set[Path]()
        while waiting:
            file = waiting.pop().resolve()
            if file in seen:
                continue
            seen.add(file)
            data = read(file)
            yield data
            if file.suffix != ".toml":
                included = _INCLUDED.finditer(data.decode(errors="replace"))
                waiting += [file.parent / match["file"] for match in included]


def find(project: Project, *, fetches: bool) -> Requirements:
    """What ``project`` needs; ``fetches`` says that the container brings its model itself.

    Raises ``UsageError`` and ``ModelError``.
    """
    file = _file(project)
    extras = {"serve"}
    lines: list[str] = []
    if fetches:
        extras.add("stores")
    if project.service is None and project.app is None and project.model_path is not None:
        more, lines = _for_model(Path(project.model_path))
        extras |= more
    return Requirements(file, (*_own(extras), *sorted(lines)))


def read(file: Path) -> bytes:
    """A requirements file. Raises ``UsageError``."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: expected requirements, found: {error.strerror}.") from None


def _file(project: Project) -> Path | None:
    """The file that the project names, else the usual ones where they are there."""
    if project.image.requirements:
        named = project.folder / project.image.requirements
        if not named.is_file():
            raise UsageError(
                f"{named}: expected a requirements file, found none.",
                tip="Mend [image] requirements in boxship.toml.",
            )
        return named
    usual = project.folder / "requirements.txt"
    if usual.is_file():
        return usual
    pyproject = project.folder / "pyproject.toml"
    if pyproject.is_file() and "project" in tomllib.loads(read(pyproject).decode()):
        return pyproject
    return None


def _for_model(path: Path) -> tuple[set[str], list[str]]:
    """What loads the model by itself: of the very minor version that trained it."""
    if formats.detect(path) is Format.ONNX:
        return {"onnx"}, []
    report = pickles.scan(path)
    modules = {use.module for use in report.globals}
    lines = [name for name in _BOOSTING if any(_within(module, name) for module in modules)]
    if report.sklearn_version:
        major, minor, *_ = report.sklearn_version.split(".")
        lines.append(f"scikit-learn=={major}.{minor}.*")
    frames = any(_within(module, _FRAMES) for module in modules)
    return {"sklearn", "pandas"} if frames else {"sklearn"}, lines


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _own(extras: set[str]) -> tuple[str, ...]:
    """Boxship's own requirements, as its installed metadata has them; itself it does not need.

    An extra may name other extras of Boxship: they count too.
    """
    told = [Requirement(text) for text in importlib.metadata.requires(_OWN) or ()]
    wanted, found = set(extras), set[str]()
    size = -1
    while len(wanted) != size:
        size = len(wanted)
        for one in told:
            if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in wanted):
                continue
            if canonicalize_name(one.name) == _OWN:
                wanted |= one.extras
            else:
                found.add(f"{one.name}{one.specifier}")
    return tuple(sorted(found))
