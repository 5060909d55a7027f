"""What an image has to have installed: the user's requirements, and what serves the model."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from packaging.requirements import Requirement

from boxship import project_file
from boxship.build.asked import model_needs, own_extras, pylock_file, requirement_lines, uv_lock
from boxship.build.asked.requirement_lines import Line
from boxship.errors import UsageError
from boxship.lock import LockedModel
from boxship.project import Project

_PYPROJECT = "pyproject.toml"
# Of a project, the first that is there.
_LOCKS = (uv_lock.FILE_NAME, "pylock.toml")


@dataclass(frozen=True)
class Requirements:
    """``file`` is the user's own, if they have one; ``lines`` are what Boxship adds to it.

    ``code`` are the paths of the project that are shipped: a lock may name them too.
    """

    file: Path | None
    lines: tuple[str, ...]
    code: tuple[Path, ...] = ()

    @property
    def is_lock(self) -> bool:
        """Whether the user's file is another tool's lock, which has what comes along too."""
        return self._reader is not None

    @cached_property
    def written(self) -> tuple[Line, ...]:
        """The lines of the user's file and of those that it includes.

        Raises ``UsageError``, and ``BuildError`` where uv cannot read its own lock.
        """
        if self.file is None:
            return ()
        if self._reader is not None:
            return self._reader(self.file.absolute(), self.code)
        return requirement_lines.read(self.file)

    @property
    def named(self) -> tuple[Line, ...]:
        """The lines that are of the user's own choice: of a lock, what is locked beside it."""
        if self.file is None or not self.is_lock:
            return self.written
        beside = self.file.with_name(_PYPROJECT)
        return requirement_lines.read(beside) if beside.is_file() else ()

    @property
    def _reader(self) -> Callable[[Path, tuple[Path, ...]], tuple[Line, ...]] | None:
        if self.file is None:
            return None
        if pylock_file.is_one(self.file):
            return pylock_file.read
        return uv_lock.read if self.file.name == uv_lock.FILE_NAME else None

    def digest(self, *context: str) -> str:
        """Of everything that is asked for; ``context`` is what else a lock depends on."""
        taken = hashlib.sha256()
        for part in (*self._contents(), *(line.encode() for line in (*self.lines, *context))):
            taken.update(len(part).to_bytes(8) + part)
        return f"sha256:{taken.hexdigest()}"

    def _contents(self) -> Iterator[bytes]:
        """What the user's file asks for, in such a way that a comment changes nothing."""
        if self.file is not None and (self.is_lock or self.file.suffix == ".toml"):
            # Of a pyproject.toml, uv takes more than what the project depends on.
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
    extras = {extra for one in asked if one.name == own_extras.OWN for extra in one.extras}
    lines = [str(one) for one in asked if one.name != own_extras.OWN]
    code = tuple((project.folder / name).resolve() for name in project.code)
    users = Requirements(_file(project), (), code)
    extras |= own_extras.find(users.named)
    return replace(users, lines=(*own_extras.expand(extras), *lines))


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
    pyproject = project.folder / _PYPROJECT
    if not pyproject.is_file() or "project" not in project_file.read(pyproject):
        return None
    locks = (project.folder / name for name in _LOCKS)
    return next((file for file in locks if file.is_file()), pyproject)
