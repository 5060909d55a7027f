"""Whether the module that is served is in the image: else the first to know is the container."""

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from boxship.build.asked.requirements import Requirements
from boxship.build.code import own_code
from boxship.errors import UsageError
from boxship.lock import LockedRequirements
from boxship.project import Project


def check(
    project: Project, shipped: Collection[str], wanted: Requirements, locked: LockedRequirements
) -> None:
    """Raise ``UsageError`` where neither ``shipped``, paths in the project, nor a package has it."""
    target = project.app or project.service
    if target is None:
        return
    top = target.partition(":")[0].partition(".")[0]
    roots = own_code.roots(project)
    if any(_has(PurePosixPath(path), root, top) for path in shipped for root in roots):
        return
    in_src = _is_module(project.folder / "src" / top)
    if _may_be_installed(top, wanted, locked, else_here=in_src):
        return
    where = f"code = {list(project.code)}" if project.code else str(project.folder)
    example = f'code = ["src/{top}"]'
    tip = f"Name it in boxship.toml: {example}"
    if not in_src:
        tip = f"Name what has it: a folder in boxship.toml, such as {example}, or a requirement."
    raise UsageError(
        f"{target}: expected the module {top!r} among the files to ship, found none of that name "
        f"in {where}.",
        tip=tip,
    )


def _has(path: PurePosixPath, root: PurePosixPath, top: str) -> bool:
    """Whether the file is, for whoever looks in ``root``, that module or in that package."""
    if not path.is_relative_to(root) or path == root:
        return False
    first, *below = path.relative_to(root).parts
    return first == top if below else first.startswith(f"{top}.") and path.suffix in (".py", ".so")


def _is_module(path: Path) -> bool:
    return path.is_dir() or path.with_suffix(".py").is_file()


def _may_be_installed(
    top: str, wanted: Requirements, locked: LockedRequirements, *, else_here: bool
) -> bool:
    """What a wheel has is known once it is there; until then, its name and its origin count."""
    name = canonicalize_name(top)
    wheels = [wheel for one in locked.wheels.values() for wheel in one]
    if any(wheel.place or canonicalize_name(wheel.name) == name for wheel in wheels):
        return True
    return not else_here and any(not line.limits for line in wanted.written)
