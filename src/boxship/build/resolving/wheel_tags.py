"""Which of a distribution's wheels suits the image best."""

from collections.abc import Iterator, Mapping, Sequence

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

# https://peps.python.org/pep-0600/: names from before a wheel said which glibc it needs.
_ALIASES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def ranks(machine: str, python: str, glibc: str) -> dict[Tag, int]:
    """Every tag that runs there, the best with the lowest number."""
    version = tuple(int(part) for part in python.split("."))
    platforms = list(_platforms(machine, int(glibc.partition(".")[2])))
    tags = [
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, f"cp{version[0]}{version[1]}", platforms),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def best(files: Sequence[str], known: Mapping[Tag, int]) -> int:
    """The place of the best one in ``files``; -1 where none runs there."""
    found = [(rank, place) for place, file in enumerate(files) if (rank := _rank(file, known)) >= 0]
    return min(found)[1] if found else -1


def _rank(file: str, known: Mapping[Tag, int]) -> int:
    try:
        tags = parse_wheel_filename(file)[3]
    except InvalidWheelFilename:
        return -1
    return min((known[tag] for tag in tags if tag in known), default=-1)


def _platforms(machine: str, glibc: int) -> Iterator[str]:
    for minor in range(glibc, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _ALIASES:
            yield f"{_ALIASES[minor]}_{machine}"
    yield f"linux_{machine}"
