"""The Python of a base image: which one, where, and on which C library."""

import re
import tarfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from boxship.errors import BuildError
from boxship.oci.blobs import Blobs
from boxship.oci.image import Image
from boxship.oci.merging import merge

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OLDEST = 11
"""The minor version of Python 3 that serving needs."""
_INTERPRETER = re.compile(r"python(?P<minor>3\.[0-9]+)")
_GLIBC = re.compile(rb"GNU C Library [^\n]*version (?P<version>2\.[0-9]+)")
# Where the loader looks: compilers bring others along. Before 2.34 libc.so.6 is a link.
_LIBC = re.compile(r"(usr/)?lib(64)?/([a-z0-9_]+-linux-gnu/)?(libc\.so\.6|libc-2\.[0-9]+\.so)")
_MUSL = re.compile(r"(usr/)?lib/ld-musl-[a-z0-9_]+\.so\.1")
_DEBIAN = {PurePosixPath(one) for one in ("etc/debian_version", "usr/lib/python3/dist-packages")}
_MOST_READ = 32 << 20
"""Of a libc: they have 2 MB, and some carry their symbols along."""


@dataclass(frozen=True)
class BasePython:
    """``executable`` is absolute; ``minor`` is ``3.11``; ``glibc`` is ``2.36``.

    ``site_packages`` is where that Python looks for what was installed after it.
    """

    executable: str
    minor: str
    glibc: str
    site_packages: str


def find(image: Image, blobs: Blobs, name: str) -> BasePython:
    """Read it off the layers. Raises ``BuildError`` where there is none that will do, or no glibc."""
    search = _Search()
    merge(image.layers, blobs, search)
    if search.musl:
        raise BuildError(
            f"{name}: expected a base image with glibc, found musl (/{min(search.musl)}).",
            tip="Most wheels are made for glibc: choose a slim image instead of an alpine one.",
        )
    environment = (image.config.get("config") or {}).get("Env") or ()
    variables = dict(line.partition("=")[::2] for line in environment)
    executable, minor = _first(search.pythons, variables.get("PATH", _DEFAULT_PATH), name)
    glibc = _glibc(search.libcs, name)
    return BasePython(str(executable), minor, glibc, _site_packages(executable, minor, search))


def _first(pythons: Mapping[PurePosixPath, str], path: str, name: str) -> tuple[PurePosixPath, str]:
    """The first on the PATH that is new enough: the newest of its folder."""
    found = [
        (PurePosixPath("/", one), minor)
        for folder in path.split(":")
        for one, minor in sorted(pythons.items(), key=lambda pair: _number(pair[1]), reverse=True)
        if str(one.parent) == folder.strip("/")
    ]
    for executable, minor in found:
        if _number(minor) >= _OLDEST:
            return executable, minor
    old = ", ".join(str(executable) for executable, _ in found)
    raise BuildError(
        f"{name}: expected a Python 3.{_OLDEST} or later on the PATH of the base image, found "
        f"{old or 'none'}.",
        tip='Choose one with such a Python: base = "python:3.11-slim-bookworm".',
    )


def _number(minor: str) -> int:
    return int(minor.partition(".")[2])


def _glibc(libcs: Mapping[PurePosixPath, str], name: str) -> str:
    versions = [version for version in libcs.values() if version]
    if versions:
        return versions[-1]
    found = ", ".join(f"/{one}" for one in libcs)
    raise BuildError(
        f"{name}: expected glibc in the base image, in a libc.so.6 that says its version, found "
        f"{found + ', which does not' if found else 'no such file'}.",
        tip='Choose one with glibc: base = "python:3.11-slim-bookworm".',
    )


def _site_packages(executable: PurePosixPath, minor: str, search: "_Search") -> str:
    """Debian's Python keeps what was installed after it apart from its own packages."""
    prefix = executable.parent.parent
    if str(prefix) == "/usr" and search.debian:
        return f"/usr/local/lib/python{minor}/dist-packages"
    return f"{prefix}/lib/python{minor}/site-packages"


class _Search:
    """What was seen so far, by path: minor versions of Python, versions of glibc, signs of others."""

    def __init__(self) -> None:
        self.pythons: dict[PurePosixPath, str] = {}
        self.libcs: dict[PurePosixPath, str] = {}
        self.musl: dict[PurePosixPath, None] = {}
        self.debian: dict[PurePosixPath, None] = {}

    def take(
        self, path: PurePosixPath, entry: tarfile.TarInfo, opened: Callable[[], IO[bytes] | None]
    ) -> None:
        if signs := _DEBIAN.intersection((path, *path.parents)):
            self.debian |= dict.fromkeys(signs)
        elif entry.isdir():
            return
        elif match := _INTERPRETER.fullmatch(path.name):
            self.pythons[path] = match["minor"]
        elif _MUSL.fullmatch(str(path)):
            self.musl[path] = None
        elif _LIBC.fullmatch(str(path)) and entry.isreg() and (file := opened()):
            said = _GLIBC.search(file.read(_MOST_READ))
            self.libcs[path] = said["version"].decode() if said else ""

    def remove(self, path: PurePosixPath, kept: Collection[PurePosixPath] = ()) -> None:
        for seen in (self.pythons, self.libcs, self.musl, self.debian):
            for one in [one for one in seen if path in (one, *one.parents) and one not in kept]:
                del seen[one]
