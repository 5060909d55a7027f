"""The package indexes that requirements name, and what of them may be written down."""

import re
from collections.abc import Sequence

from boxship.build import address
from boxship.build.asked.requirements import Requirements

_INDEX = re.compile(r"(?P<option>-i|--index-url|--extra-index-url)(?:\s*=\s*|\s+)(?P<url>\S+)")
_OPTIONS = {"-i": "index-url"}


def own(requirements: Requirements) -> list[tuple[str, str]]:
    """The indexes that the user's requirements name: the option, and the address with it."""
    # Of what only limits the others, uv takes no index.
    found = (_INDEX.match(line.text) for line in requirements.written if not line.limits)
    return [(_OPTIONS.get(one["option"], one["option"][2:]), one["url"]) for one in found if one]


def every(requirements: Requirements, locked: Sequence[str]) -> list[tuple[str, str]]:
    """What was locked, and what the user's own file names, with credentials that a lock has not."""
    named_there = own(requirements)
    named = {address.bare(url) for _, url in named_there}
    return [*(("extra-index-url", url) for url in locked if url not in named), *named_there]


def addresses(requirements: Requirements, given: Sequence[str]) -> tuple[str, ...]:
    """Every index but the usual one, without credentials: what was given, then the file's own."""
    named = [url for _, url in own(requirements)]
    return tuple(dict.fromkeys(address.bare(url) for url in (*given, *named)))
