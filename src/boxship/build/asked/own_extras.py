"""Boxship among the user's own requirements: an image has it already, by what its extras need."""

import importlib.metadata
from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from boxship.build.asked import requirement_lines
from boxship.build.asked.requirement_lines import Line
from boxship.errors import UsageError

OWN = "boxship"


def find(lines: Iterable[Line]) -> set[str]:
    """The extras of Boxship that ``lines`` ask for.

    Raises ``UsageError`` where they ask for another version than this one.
    """
    extras = set[str]()
    for line in lines:
        asked = requirement_lines.requirement(line.text)
        if asked is not None and canonicalize_name(asked.name) == OWN:
            _check(asked, line)
            extras |= set() if line.limits else asked.extras
    return extras


def expand(extras: Iterable[str]) -> tuple[str, ...]:
    """What Boxship needs with ``extras``, as its installed metadata has it; not itself.

    An extra may name other extras of Boxship: they count too.
    """
    told = [Requirement(text) for text in importlib.metadata.requires(OWN) or ()]
    wanted, found = set(extras), set[str]()
    size = -1
    while len(wanted) != size:
        size = len(wanted)
        for one in told:
            if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in wanted):
                continue
            if canonicalize_name(one.name) == OWN:
                wanted |= one.extras
            else:
                found.add(f"{one.name}{one.specifier}")
    return tuple(sorted(found))


def _check(asked: Requirement, line: Line) -> None:
    here = importlib.metadata.version(OWN)
    if not asked.specifier.contains(here, prereleases=True):
        raise UsageError(
            f"{line.file}: expected what fits Boxship {here}, which builds the image and goes into "
            f"it, found {str(asked)!r}.",
            tip="Mend that line, or leave it out: an image has Boxship already. Or build with that "
            "version.",
        )
