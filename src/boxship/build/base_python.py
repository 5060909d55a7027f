"""The Python of a base image: which one, where, and on which C library."""

import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from boxship.errors import BuildError
from boxship.oci.blobs import Blobs
from boxship.oci.contents import walk
from boxship.oci.image import Image

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INTERPRETER = re.compile(r"(?P<folder>.*/)python(?P<minor>3\.[0-9]+)")
_GLIBC = re.compile(rb"GNU C Library [^\n]*version (?P<version>2\.[0-9]+)")
_LIBC = "libc.so.6"
_MUSL = re.compile(r"(usr/)?lib/ld-musl-[a-z0-9_]+\.so\.1")
_DEBIAN = ("etc/debian_version", "usr/lib/python3/dist-packages")
_LARGEST_LIBC = 8 << 20


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
    """Read it off the layers. Raises ``BuildError`` where there is none, or no glibc."""
    search = _Search()
    for layer in image.layers:
        walk(layer.blob, blobs, search.see)
    if search.musl:
        raise BuildError(
            f"{name}: expected a base image with glibc, found musl ({search.musl}).",
            tip="Most wheels are made for glibc: choose a slim image instead of an alpine one.",
        )
    environment = (image.config.get("config") or {}).get("Env") or ()
    variables = dict(line.partition("=")[::2] for line in environment)
    for folder in variables.get("PATH", _DEFAULT_PATH).split(":"):
        minors = search.interpreters.get(folder.strip("/"), [])
        if minors:
            minor = max(minors, key=lambda text: int(text.partition(".")[2]))
            break
    else:
        raise BuildError(
            f"{name}: expected a Python on the PATH of the base image, found none.",
            tip='Choose one with Python, such as base = "python:3.11-slim-bookworm".',
        )
    if not search.glibc:
        raise BuildError(f"{name}: expected glibc in the base image, found no {_LIBC}.")
    executable = str(PurePosixPath("/", folder, f"python{minor}"))
    return BasePython(executable, minor, search.glibc, _site_packages(executable, minor, search))


def _site_packages(executable: str, minor: str, search: "_Search") -> str:
    """Debian's Python keeps what was installed after it apart from its own packages."""
    prefix = PurePosixPath(executable).parent.parent
    if str(prefix) == "/usr" and search.debian:
        return f"/usr/local/lib/python{minor}/dist-packages"
    return f"{prefix}/lib/python{minor}/site-packages"


class _Search:
    """What was seen so far."""

    def __init__(self) -> None:
        self.interpreters: dict[str, list[str]] = {}
        self.musl = ""
        self.glibc = ""
        self.debian = False

    def see(self, entry: tarfile.TarInfo, opened: Callable[[], IO[bytes] | None]) -> None:
        path = entry.name.removeprefix("./").lstrip("/")
        if match := _INTERPRETER.fullmatch(path):
            self.interpreters.setdefault(match["folder"].strip("/"), []).append(match["minor"])
        elif _MUSL.fullmatch(path):
            self.musl = path
        elif path.startswith(_DEBIAN):
            self.debian = True
        elif PurePosixPath(path).name == _LIBC and entry.isreg() and entry.size < _LARGEST_LIBC:
            file = opened()
            found = _GLIBC.search(file.read()) if file else None
            if found:
                self.glibc = found["version"].decode()
