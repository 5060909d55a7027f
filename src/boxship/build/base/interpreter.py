"""The Python that compiles for an image: the base image's own, run out of its layers.

Bytecode of two patch releases may differ, so only the base's own Python makes the same image
wherever it is built. It needs no engine and no root: its own loader starts it.
"""

import os
import platform as machine
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from boxship import process
from boxship.errors import BuildError
from boxship.lock import LockedBase
from boxship.oci.blobs import Blobs
from boxship.oci.image import Image
from boxship.oci.merging import merge
from boxship.oci.platform import Platform
from boxship.process import Done

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_LOADERS = ("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1")
# Where Python, its library and what they link to may lie.
_TAKEN = {
    PurePosixPath(one)
    for one in ("lib", "lib64", "usr/lib", "usr/lib64", "usr/bin", "usr/local", "opt/conda", "bin")
}
_LIBRARIES = ("lib", "usr/lib", "lib64", "usr/lib64", "usr/local/lib")
_MOST_LINKS = 40


def here() -> Platform:
    """What this machine is."""
    architecture = machine.machine().lower()
    return Platform(machine.system().lower(), _ARCHITECTURES.get(architecture, architecture))


@dataclass(frozen=True)
class Interpreter:
    """``argv`` starts it; ``own`` says that it is the base's own, with the base's libraries."""

    argv: tuple[str, ...]
    environ: dict[str, str]
    own: bool

    def run(self, arguments: Sequence[str], *, stdin: str = "", cwd: Path | None = None) -> Done:
        """Run it to its end, knowing nothing of this machine's settings."""
        return process.run([*self.argv, *arguments], environ=self.environ, stdin=stdin, cwd=cwd)


def of_base(base: LockedBase, image: Image, blobs: Blobs, folder: Path) -> Interpreter:
    """The Python of ``image``, unpacked into ``folder`` once. Raises ``BuildError``."""
    root = folder / image.manifest.digest.partition(":")[2]
    if not root.exists():
        try:
            _unpack(image, blobs, root)
        except OSError as error:
            raise BuildError(
                f"{base.name}: expected to unpack its Python into {folder}, found: {error}.",
                tip="Make room there, or name another folder: BOXSHIP_CACHE.",
            ) from error
    loaders = [file for one in _LOADERS if (file := _inside(root, one)).exists()]
    executable = _inside(root, base.executable)
    missing = [] if executable.exists() else [base.executable]
    missing += [] if loaders else [" or ".join(f"/{one}" for one in _LOADERS)]
    if missing:
        raise BuildError(
            f"{base.name}: expected {base.executable} and its loader among the base image's "
            f"programs and libraries, found no {' and no '.join(missing)}.",
            tip="Choose a base image with Python and glibc in /usr or /opt/conda, or let an "
            "engine build: --builder docker.",
        )
    libraries = [_inside(root, one) for one in _LIBRARIES]
    libraries += [one for lib in libraries if lib.is_dir() for one in lib.glob("*-linux-gnu")]
    argv = (
        str(loaders[0]),
        "--library-path",
        ":".join(map(str, libraries)),
        str(executable),
        "-s",
        "-S",
    )
    home = root / PurePosixPath(base.executable).parent.parent.relative_to("/")
    return Interpreter(argv, {"PYTHONHOME": str(home), "HOME": "/nonexistent"}, own=True)


def _unpack(image: Image, blobs: Blobs, root: Path) -> None:
    """Have ``root`` hold what Python may need, whole or not at all. Raises ``OSError``."""
    root.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=root.parent, prefix=".unpacking-"))
    try:
        merge(image.layers, blobs, _Unpacking(part))
        try:
            part.rename(root)
        except OSError:
            if not root.exists():  # else another build was first
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def of_this_machine(minor: str) -> Interpreter:
    """A Python of this machine with the minor version ``3.X``. Raises ``BuildError``."""
    found = sys.executable
    if minor != f"{sys.version_info.major}.{sys.version_info.minor}":
        from uv import find_uv_bin

        argv = [find_uv_bin(), "python", "find", "--no-python-downloads", "--system", minor]
        done = process.run(argv, environ=os.environ)
        found = done.stdout.strip() if done.code == 0 else ""
    if not found:
        raise BuildError(
            f"Expected a Python {minor} on this machine to compile for the base image's, found none.",
            tip=f"Install one: uv python install {minor}. Or choose a base image with Python "
            f"{sys.version_info.major}.{sys.version_info.minor}.",
        )
    return Interpreter((found, "-I", "-S"), {"PATH": os.environ.get("PATH", "")}, own=False)


def _inside(root: Path, path: str) -> Path:
    """``path`` in ``root``, links followed as if that were ``/``."""
    left = [part for part in PurePosixPath(path).parts if part != "/"][::-1]
    found = root
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            found = found.parent if found != root else root
            continue
        found /= part
        if found.is_symlink() and links < _MOST_LINKS:
            links += 1
            target = PurePosixPath(found.readlink())
            found = root if target.is_absolute() else found.parent
            left += [one for one in target.parts if one != "/"][::-1]
    return found


class _Unpacking:
    """Takes files and links of an image that Python may need, and nothing of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def take(
        self, path: PurePosixPath, entry: tarfile.TarInfo, opened: Callable[[], IO[bytes] | None]
    ) -> None:
        if _TAKEN.isdisjoint((path, *path.parents)):
            return
        target = self._place(path)
        if entry.isdir():
            # A folder that is a link already stands for what it points to.
            if not target.is_symlink():
                if not target.is_dir():
                    target.unlink(missing_ok=True)
                target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.issym():
            target.symlink_to(entry.linkname)
        elif entry.islnk():
            source = _inside(self._root, entry.linkname)
            if source.is_file():
                shutil.copy2(source, target)
        elif entry.isreg():
            file = opened()
            if file is not None:
                with target.open("wb") as out:
                    shutil.copyfileobj(file, out)
                target.chmod(0o755 if entry.mode & 0o100 else 0o644)

    def remove(self, path: PurePosixPath, kept: Collection[PurePosixPath] = ()) -> None:
        target = self._place(path)
        if not target.is_dir() or target.is_symlink():
            if path not in kept:
                target.unlink(missing_ok=True)
        elif path not in kept:
            shutil.rmtree(target)
        else:
            for one in list(target.iterdir()):
                self.remove(path / one.name, kept)

    def _place(self, path: PurePosixPath) -> Path:
        return _inside(self._root, str(path.parent)) / path.name
