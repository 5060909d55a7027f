"""The package indexes that requirements name, and what of them may be written down."""

import re
from collections.abc import Mapping, Sequence

from boxship.build import address
from boxship.build.asked import index_variables, requirement_lines, uv_indexes
from boxship.build.asked.requirements import Requirements

_INDEX = re.compile(r"(?P<option>-i|--index-url|--extra-index-url)(?:\s*=\s*|\s+)(?P<url>\S+)")
_OPTIONS = {"-i": "index-url"}


def own(requirements: Requirements) -> list[tuple[str, str]]:
    """The indexes that the user's requirements name: the option, and the address with it."""
    # Of what only limits the others, uv takes no index.
    found = (_INDEX.match(line.text) for line in requirements.written if not line.limits)
    return [(_OPTIONS.get(one["option"], one["option"][2:]), one["url"]) for one in found if one]


def every(
    requirements: Requirements, locked: Sequence[str], environ: Mapping[str, str]
) -> list[tuple[str, str]]:
    """What was locked, and what the user's own file names, with credentials that a lock has not."""
    written = own(requirements)
    named = {address.bare(url) for _, url in written}
    return [
        (key, requirement_lines.expanded(url, environ))
        for key, url in (
            *(("extra-index-url", url) for url in locked if url not in named),
            *written,
        )
    ]


def reached(
    requirements: Requirements, given: Sequence[str], environ: Mapping[str, str]
) -> list[str]:
    """Every address of an index that may have a login, with that login."""
    found = [url for _, url in every(requirements, given, environ)]
    found += [*index_variables.beside(environ), *index_variables.default(environ)]
    if requirements.file is not None and requirements.file.suffix == ".toml":
        named = uv_indexes.find(requirements.file.parent, environ).named
        found += [one.url for one in named.values()]
    return found


def addresses(requirements: Requirements, given: Sequence[str]) -> tuple[str, ...]:
    """Every index but the usual one, without credentials: what was given, then the file's own."""
    named = [url for _, url in own(requirements)]
    return tuple(dict.fromkeys(address.bare(url) for url in (*given, *named)))
