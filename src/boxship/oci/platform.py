"""What an image runs on: an operating system and a processor, in the words of images."""

import re
from dataclasses import dataclass

_TEXT = re.compile(r"(?P<system>[a-z]+)/(?P<architecture>[a-z0-9_]+)(/(?P<variant>v[0-9]+))?")


@dataclass(frozen=True, order=True)
class Platform:
    """``linux/amd64``, ``linux/arm64``; ``variant`` is a revision of the processor, mostly none."""

    system: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        parts = (self.system, self.architecture, self.variant)
        return "/".join(part for part in parts if part)

    def runs(self, other: "Platform") -> bool:
        """Whether an image for ``other`` is one for this platform; arm64's v8 needs no saying."""
        same = (self.system, self.architecture) == (other.system, other.architecture)
        return same and (not self.variant or self.variant == other.variant)

    def as_json(self) -> dict[str, str]:
        """As an image index writes it."""
        found = {"architecture": self.architecture, "os": self.system}
        return {**found, "variant": self.variant} if self.variant else found


def parse(text: str) -> Platform:
    """``linux/arm64`` and the like. Raises ``ValueError``."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a platform such as linux/amd64 or linux/arm64, found {text!r}")
    return Platform(match["system"], match["architecture"], match["variant"] or "")
