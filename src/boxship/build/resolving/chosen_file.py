"""Which file of a distribution is locked: of those that uv found, the best that the image can have.

The form of what uv found: https://packaging.python.org/en/latest/specifications/pylock-toml/
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag
from packaging.utils import canonicalize_name

from boxship.build import address, uv_program
from boxship.build.asked import direct_addresses, requirement_lines
from boxship.build.asked.requirements import Requirements
from boxship.build.resolving import wheel_tags
from boxship.build.resolving.wheel_sizes import Sizes
from boxship.errors import BuildError
from boxship.lock import LockedWheel

Package = Mapping[str, Any]


@dataclass(frozen=True)
class Chooser:
    """Chooses for a lock in ``folder``; uv names paths from ``beside``.

    ``tags`` are those that run in the image, each with its rank, the best with the lowest.
    """

    requirements: Requirements
    folder: Path
    beside: Path
    tags: Mapping[Tag, int]
    ask: Sizes

    def choose(self, package: Package) -> LockedWheel:
        """The best wheel of a package, or its source where uv was let choose that.

        Raises ``BuildError`` where there is neither, or none that the user has the hash of.
        """
        name = str(package.get("name"))
        archive = package.get("archive")
        wheels = [archive] if archive else package.get("wheels") or []
        offered = self._vouched(package, wheels)
        chosen = wheel_tags.best([_name(one) for one in offered], self.tags)
        if chosen >= 0:
            return self._locked(package, offered[chosen])
        sources = self._vouched(package, [one for one in (archive, package.get("sdist")) if one])
        for source in sources:
            if not _name(source).endswith(".whl"):
                return self._locked(package, source)
        raise BuildError(f"{name}: expected a wheel, found none.", tip=uv_program.MAKE_ONE)

    def _locked(self, package: Package, file: Package) -> LockedWheel:
        url, path = str(file.get("url", "")), str(file.get("path", ""))
        place = ""
        if path:
            place = os.path.relpath((self.beside / path).resolve(), self.folder.resolve())
        elif "archive" in package:
            place = address.bare(url)
        digest = f"sha256:{file['hashes']['sha256']}"
        where = self.folder / place if path else self._direct.get(place, url)
        size = self.ask(where, digest, int(file.get("size") or 0))
        name, named = str(package.get("name")), _name(file)
        version = str(package.get("version") or named.split("-")[1])
        return LockedWheel(name, version, named, digest, size.whole, place, size.left_out)

    def _vouched(self, package: Package, offered: list[Package]) -> list[Package]:
        """Those of a package's files that the user's own file has the hash of, if it has any."""
        digests = self._hashes.get(str(package.get("name")))
        if not digests:
            return offered
        kept = [one for one in offered if f"sha256:{one['hashes']['sha256']}" in digests]
        if offered and not kept:
            raise BuildError(
                f"{package.get('name')} {package.get('version', '')}: expected a file with one of "
                f"the hashes in {self.requirements.file}, found others: "
                f"{', '.join(map(_name, offered))}.",
                tip="These are other bytes than were locked there, or files for other machines. "
                "Check where they come from, and lock there anew.",
            )
        return kept

    @cached_property
    def _direct(self) -> Mapping[str, str]:
        return direct_addresses.find(self.requirements, os.environ)

    @cached_property
    def _hashes(self) -> Mapping[str, set[str]]:
        """The digests that the user's file has for a distribution; uv compiles without a look."""
        found: dict[str, set[str]] = {}
        for line in self.requirements.written:
            asked = requirement_lines.requirement(line.text)
            _, digests = requirement_lines.hashes(line.text)
            if asked is not None and digests:
                found.setdefault(canonicalize_name(asked.name), set()).update(digests)
        return found


def _name(file: Package) -> str:
    place = str(file.get("path") or urlsplit(str(file.get("url", ""))).path)
    return str(file.get("name") or unquote(place.rpartition("/")[2]))
