"""What another tool's lock has from elsewhere than an index: a wheel goes in, nothing is built."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from boxship.build import address
from boxship.errors import UsageError


@dataclass(frozen=True)
class NotInIndex:
    """Of a lock, ``file``: ``refused`` collects what no image can have of it.

    A folder's modules may be among those of ``code``, paths of this machine, and are shipped so.
    """

    file: Path
    code: tuple[Path, ...]
    refused: list[str] = field(default_factory=list)

    def asked(self, path: str) -> str:
        """The requirement for what lies at ``path``, as the lock has it; "" for what is none."""
        place = Path(os.path.normpath(self.file.parent / path))
        try:
            name, *_ = parse_wheel_filename(place.name)
        except InvalidWheelFilename:
            if not any(one.is_relative_to(place) for one in self.code):
                self.refused.append(path)
            return ""
        return f"{name} @ {place.as_uri()}"

    def check(self) -> None:
        """Raise ``UsageError`` with everything that was refused."""
        if self.refused:
            found = address.shown(", ".join(self.refused))
            raise UsageError(
                f"{self.file}: expected wheels, or packages of an index with an address, found {found}.",
                tip="Name the folder of its modules among `code` in boxship.toml; or make a wheel of "
                "it where you trust it, pip wheel --no-deps PLACE, and lock that file in its stead.",
            )
