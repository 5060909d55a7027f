"""Names of images in registries: ``python:3.11-slim``, ``registry:5000/team/churn@sha256:…``."""

import re
from dataclasses import dataclass

DOCKER_HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
# https://github.com/distribution/reference
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]+)?")
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    """A repository of a registry, and which image in it."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        name = self.repository
        if self.registry == DOCKER_HUB:
            name = name.removeprefix("library/")
        else:
            name = f"{self.registry}/{name}"
        return (
            name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
        )

    @property
    def host(self) -> str:
        """Where the registry answers."""
        return _HUB_HOST if self.registry == DOCKER_HUB else self.registry

    @property
    def version(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag


def parse_image(name: str) -> Reference:
    """What an image's name is, written as it may be of a base: ``REF``, or ``docker://REF``.

    Raises ``ValueError`` as ``parse`` does.
    """
    return parse(name.removeprefix("docker://"))


def is_loopback(registry: str) -> bool:
    """Whether a registry is on this machine, where tools let it speak plain HTTP."""
    return _LOOPBACK.fullmatch(registry) is not None


def parse(text: str) -> Reference:
    """What ``text`` names; ``latest`` where it names no tag, as everywhere.

    Raises ``ValueError`` that says what was expected.
    """
    rest, _, digest = text.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise ValueError(f"expected @sha256: and 64 hex digits, found {digest!r}")
    first, slash, others = rest.partition("/")
    registry = DOCKER_HUB
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, rest = first, others
    if not _HOST.fullmatch(registry):
        raise ValueError(f"expected a registry's host, found {registry!r}")
    repository, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(
            f"expected a tag of letters, digits, '.', '_' and '-', at most 128, found {tag!r}"
        )
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(
            f"expected a name such as python:3.11-slim or registry:5000/team/churn:7, found {text!r}"
        )
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return Reference(registry, repository, tag or ("" if digest else "latest"), digest)
