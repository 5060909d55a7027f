"""The addresses of files that requirements name, in full: a lock has neither login nor query."""

import re
from collections.abc import Mapping

from boxship.build import address
from boxship.build.asked import requirement_lines
from boxship.build.asked.requirements import Requirements

_URL = re.compile(r"(?<!\S)https?://\S+", re.IGNORECASE)


def find(requirements: Requirements, environ: Mapping[str, str]) -> dict[str, str]:
    """By its address as a lock has it, every address that the user's lines name a file by."""
    found = {}
    for line in requirements.written:
        for url in () if line.text.startswith("-") else _URL.findall(line.text):
            full = requirement_lines.expanded(url, environ)
            found[address.bare(full)] = full
    return found
