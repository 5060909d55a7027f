"""A ``pylock.toml``: what some tool locked, in the form that all may read.

https://packaging.python.org/en/latest/specifications/pylock-toml/
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from packaging.pylock import (
    Package,
    PackageArchive,
    Pylock,
    PylockValidationError,
    is_valid_pylock_path,
)
from packaging.utils import parse_wheel_filename

from boxship import project_file
from boxship.build.asked import uv_indexes
from boxship.build.asked.not_in_index import NotInIndex
from boxship.build.asked.requirement_lines import Line
from boxship.errors import UsageError

# What markers have in a lock alone.
_CHOICE = re.compile(
    r"""(["'])(?P<name>[^"']*)\1 (?P<without>not )?in (?P<kind>extras|dependency_groups)"""
)
_ALWAYS = {True: 'python_version >= "0"', False: 'python_version < "0"'}


def is_one(file: Path) -> bool:
    """Whether the file is named as such locks are: ``pylock.toml``, ``pylock.NAME.toml``."""
    return is_valid_pylock_path(file)


def read(file: Path, code: tuple[Path, ...]) -> tuple[Line, ...]:
    """What is installed where no extra is asked for; the indexes come first.

    ``code`` are the paths that are shipped. Raises ``UsageError``.
    """
    try:
        lock = Pylock.from_dict(project_file.read(file))
    except PylockValidationError as error:
        raise UsageError(
            f"{file}: expected a lock as PEP 751 describes it, found an error: {error}.",
            tip="Lock anew with the tool that wrote it.",
        ) from None
    indexes = uv_indexes.find(file.parent, os.environ)
    elsewhere = NotInIndex(file, code)
    lines = []
    for package in lock.packages:
        if asked := _asked(package, elsewhere):
            marker = f" ; {_marker(package, lock)}" if package.marker else ""
            digests = "".join(f" --hash=sha256:{one}" for one in _digests(package))
            index = indexes.beside_default(package.index or "")
            lines.append(Line(file, f"{asked}{marker}{digests}", index=index))
    elsewhere.check()
    return (*uv_indexes.options(indexes, lines), *lines)


def _asked(package: Package, elsewhere: NotInIndex) -> str:
    """A requirement that only this package fits; "" where there is none for it."""
    wheels = package.wheels or ()
    if package.vcs:
        elsewhere.refused.append(f"{package.name} of {package.vcs.url or package.vcs.path}")
        return ""
    place = package.archive or package.directory
    if isinstance(place, PackageArchive) and place.url:
        return f"{package.name} @ {place.url}"
    if place or (len(wheels) == 1 and not wheels[0].url):
        return elsewhere.asked(str(place.path if place else wheels[0].path))
    if wheels and not any(wheel.url for wheel in wheels):
        elsewhere.refused.append(f"several wheels of {package.name} in a folder")
    version = package.version or (parse_wheel_filename(wheels[0].filename)[1] if wheels else None)
    if version is None:
        elsewhere.refused.append(f"{package.name} without a version")
    return f"{package.name}=={version}"


def _digests(package: Package) -> Iterator[str]:
    for file in (*(package.wheels or ()), package.sdist, package.archive):
        if file is not None and "sha256" in file.hashes:
            yield file.hashes["sha256"]


def _marker(package: Package, lock: Pylock) -> str:
    """Its marker, with extras and groups as they are chosen where nobody chooses."""
    chosen = {"extras": frozenset[str](), "dependency_groups": frozenset(lock.default_groups or ())}
    return _CHOICE.sub(
        lambda one: _ALWAYS[(one["name"] in chosen[one["kind"]]) != bool(one["without"])],
        str(package.marker),
    )
