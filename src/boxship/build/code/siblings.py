"""Whether what the served code imports of the project is shipped: else it cannot start there."""

import importlib.metadata
import json
import posixpath
import sys
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from boxship.build.code import imports, own_code
from boxship.build.code.imports import Import
from boxship.errors import UsageError
from boxship.lock import LockedRequirements
from boxship.project import Project


def check(project: Project, shipped: Collection[str], locked: LockedRequirements) -> None:
    """Raise ``UsageError`` with each module that lies beside what is ``shipped``, and is missed.

    The imports of the served module are followed, and of those that ``trust`` names. What may come
    from a locked wheel, or from any shipped folder, is not missed.
    """
    roots = own_code.roots(project)
    here = {name for path in shipped for name in _modules(PurePosixPath(path))}
    missed: dict[str, str] = {}
    target = (project.app or project.service or "").partition(":")[0]
    waiting = [
        file
        for module in filter(None, (target, *project.trust))
        for root in roots
        for file in _files(project.folder, root, tuple(module.split(".")))
    ]
    seen = set(waiting)
    while waiting:
        file = waiting.pop()
        for one in imports.find(project.folder / file):
            places = [_above(file, one.level)] if one.level else roots
            if not one.level and one.parts[0] not in here:
                sibling = _sibling(project.folder, roots, one)
                if not sibling or _is_elsewhere(one.parts[0], locked):
                    continue
                missed.setdefault(sibling, f"{file}, line {one.line}")
            found = {
                path
                for place in places
                for parts in (one.parts, *((*one.parts, name) for name in one.names))
                for path in _files(project.folder, place, parts)
            }
            waiting += sorted(found - seen)
            seen |= found
    if missed:
        told = ", ".join(f"{path} (imported by {where})" for path, where in missed.items())
        whole = json.dumps([*own_code.named(project), *sorted(missed)], ensure_ascii=False)
        raise UsageError(
            f"Expected what the code imports among the files to ship, found beside them: {told}.",
            tip=f"Name it in boxship.toml too: code = {whole}",
        )


def _modules(path: PurePosixPath) -> Iterator[str]:
    """The names that a file may be imported by, or in, from wherever."""
    yield from path.parts[:-1]
    if path.suffix in (".py", ".so"):
        yield path.name.partition(".")[0]


def _files(folder: Path, root: PurePosixPath, parts: tuple[str, ...]) -> Iterator[PurePosixPath]:
    """The files that importing a module runs, seen from ``root``: itself, the packages around it."""
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for file in (place / "__init__.py", place.parent / f"{place.name}.py"):
            if (folder / file).is_file():
                yield file


def _above(file: PurePosixPath, level: int) -> PurePosixPath:
    """The package that a relative import starts from."""
    # Above the project there is none.
    place = posixpath.normpath(f"/{file.parent}{'/..' * (level - 1)}")
    return PurePosixPath(place).relative_to("/")


def _sibling(folder: Path, roots: Collection[PurePosixPath], one: Import) -> str:
    """Where the project has that module or package, "" where it does not."""
    top, *below = one.parts
    for root in roots:
        if (folder / root / f"{top}.py").is_file():
            return (root / f"{top}.py").as_posix()
        package = folder / root / top
        # A folder that is no package yields to any package that is installed, so that it is meant
        # only where it has what is imported.
        inner = [package / name for name in (below[:1] or one.names)]
        if (package / "__init__.py").is_file() or any(
            path.with_name(f"{path.name}.py").is_file() or any(path.glob("*.py")) for path in inner
        ):
            return (root / top).as_posix()
    return ""


def _is_elsewhere(top: str, locked: LockedRequirements) -> bool:
    """Whether Python, Boxship or a locked wheel may have the module.

    What a wheel has is known where it is installed here too; else its name and its origin count.
    """
    if top in sys.stdlib_module_names or top == "boxship":
        return True
    wheels = [wheel for one in locked.wheels.values() for wheel in one]
    if any(wheel.place for wheel in wheels):
        return True
    installed = importlib.metadata.packages_distributions()
    known = {canonicalize_name(one) for names in installed.values() for one in names}
    having = {canonicalize_name(one) for one in installed.get(top, ())}
    name = canonicalize_name(top)
    return any(
        one == name or one in having or (one not in known and f"-{name}-" in f"-{one}-")
        for one in (canonicalize_name(wheel.name) for wheel in wheels)
    )
