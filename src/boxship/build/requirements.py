"""What an image has to have installed: the user's requirements, and what serves the model."""

import hashlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from boxship import project_file
from boxship.build import model_needs, requirement_lines
from boxship.build.requirement_lines import Line
from boxship.errors import UsageError
from boxship.lock import LockedModel
from boxship.project import Project

_OWN = "boxship"


@dataclass(frozen=True)
class Requirements:
    """``file`` is the user's own, if they have one; ``lines`` are what Boxship adds to it."""

    file: Path | None
    lines: tuple[str, ...]

    @property
    def written(self) -> tuple[Line, ...]:
        """The lines of the user's file and of those that it includes. Raises ``UsageError``."""
        return requirement_lines.read(self.file) if self.file else ()

    def digest(self, *context: str) -> str:
        """Of everything that is asked for; ``context`` is what else a lock depends on."""
        taken = hashlib.sha256()
        for part in (*self._contents(), *(line.encode() for line in (*self.lines, *context))):
            taken.update(len(part).to_bytes(8) + part)
        return f"sha256:{taken.hexdigest()}"

    def _contents(self) -> Iterator[bytes]:
        """What the user's file asks for, in such a way that a comment changes nothing."""
        if self.file is not None and self.file.suffix == ".toml":
            # uv takes more from it than what the project depends on.
            yield requirement_lines.content(self.file)
        else:
            yield from (f"{'-c ' * line.limits}{line.text}".encode() for line in self.written)


def find(project: Project, model: LockedModel | None) -> Requirements:
    """What ``project`` needs, with its model as it was locked.

    Raises ``UsageError`` and ``ModelError``.
    """
    needs = {"boxship[serve]"}
    if project.source is not None:
        # The container brings its model itself.
        needs.add("boxship[stores]")
        needs |= set(model.needs if model else ())
    elif project.model_path is not None:
        needs |= set(model_needs.find(project, Path(project.model_path)))
    asked = [Requirement(one) for one in sorted(needs)]
    extras = {extra for one in asked if one.name == _OWN for extra in one.extras}
    lines = [str(one) for one in asked if one.name != _OWN]
    return Requirements(_file(project), (*_own(extras), *lines))


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
    if pyproject.is_file() and "project" in project_file.read(pyproject):
        return pyproject
    return None


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
