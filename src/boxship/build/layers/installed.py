"""What an installer has put into a folder, told apart by distribution."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from boxship.build.layers import slim
from boxship.errors import BuildError
from boxship.lock import LockedWheel


@dataclass(frozen=True)
class File:
    """One file of a distribution: its path, and the digest that its wheel says it has."""

    path: str
    digest: str


@dataclass(frozen=True)
class Distribution:
    """The files that a distribution has in the image, and its RECORD, which names just those."""

    name: str
    files: tuple[File, ...]
    record_path: str
    record: bytes


def read(folder: Path, wheels: Sequence[LockedWheel], *, slimmed: bool) -> dict[str, Distribution]:
    """The distributions in ``folder``, by the names of ``wheels``. Raises ``BuildError``."""
    found = {
        name: _distribution(folder, name, record, slimmed=slimmed)
        for name, record in records(folder)
    }
    missing = [wheel.file for wheel in wheels if canonicalize_name(wheel.name) not in found]
    if missing:
        raise BuildError(f"{', '.join(missing)}: expected to be installed, found nothing of it.")
    return {wheel.name: found[canonicalize_name(wheel.name)] for wheel in wheels}


def records(folder: Path) -> Iterator[tuple[str, Path]]:
    """The name and the RECORD of every distribution in ``folder``."""
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        stem = record.parent.name.removesuffix(".dist-info")
        yield canonicalize_name(stem.partition("-")[0]), record


def rows(record: Path) -> list[list[str]]:
    """What a RECORD says of each file: path, digest and size."""
    return [row for row in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))) if row]


def _distribution(folder: Path, name: str, record: Path, *, slimmed: bool) -> Distribution:
    found = [[slim.place(row[0]), *row[1:]] for row in rows(record)]
    kept = [row for row in found if slim.stays(folder, row[0], slimmed=slimmed)]
    path = str(record.relative_to(folder))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(kept))
    files = [File(row[0], row[1]) for row in kept if row[0] != path]
    return Distribution(
        name, tuple(sorted(files, key=lambda one: one.path)), path, text.getvalue().encode()
    )


def check_conflicts(distributions: Sequence[tuple[str, Sequence[File]]]) -> None:
    """Raises ``BuildError`` where two distributions have one path, with different bytes."""
    owners: dict[str, tuple[str, str]] = {}
    clashes: dict[tuple[str, str], list[str]] = {}
    for name, files in distributions:
        for file in files:
            owner, digest = owners.setdefault(file.path, (name, file.digest))
            if owner != name and digest != file.digest:
                clashes.setdefault((owner, name), []).append(file.path)
    if clashes:
        (first, second), paths = next(iter(clashes.items()))
        raise BuildError(
            f"{first} and {second}: expected files of their own, found {len(paths)} that both "
            f"have with different bytes, such as {paths[0]}.",
            tip="Only one of them would be there, in part: require one of the two.",
        )
