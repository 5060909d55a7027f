"""Boxship itself as it is shipped: a wheel made of the running installation, for serving alone."""

import base64
import hashlib
import importlib.metadata
import io
import zipfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

import boxship

_NAME = "boxship"
# What a container never does.
_LEFT_BEHIND = (
    "build",
    "oci",
    "convert",
    "cli/build.py",
    "cli/convert.py",
    "cli/dockerfile.py",
    "cli/image_project.py",
    "cli/lock.py",
)
_TIME = (1980, 1, 1, 0, 0, 0)
_SUFFIXES = (".pyc", ".pyo")


@dataclass(frozen=True)
class OwnWheel:
    """``files`` has every path under ``site-packages``; ``name`` and ``content`` are the wheel's."""

    name: str
    files: dict[str, bytes]

    @cached_property
    def content(self) -> bytes:
        """The wheel: the same files are always the same bytes."""
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(self.files):
                archive.writestr(zipfile.ZipInfo(path, _TIME), self.files[path])
        return data.getvalue()

    @property
    def digest(self) -> str:
        """SHA-256 of the wheel."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


@cache
def make() -> OwnWheel:
    """The wheel of what runs here, read once."""
    folder = Path(boxship.__file__).parent
    files = {
        f"{_NAME}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _is_shipped(path.relative_to(folder).as_posix())
    }
    version = boxship.__version__
    info = f"{_NAME}-{version}.dist-info"
    files[f"{info}/METADATA"] = _metadata(version)
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: boxship\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    return OwnWheel(f"{_NAME}-{version}-py3-none-any.whl", files)


def _is_shipped(path: str) -> bool:
    pure = PurePosixPath(path)
    if "__pycache__" in pure.parts or pure.suffix in _SUFFIXES:
        return False
    return not any(path == left or path.startswith(f"{left}/") for left in _LEFT_BEHIND)


def _metadata(version: str) -> bytes:
    """What is required was resolved with everything else, so nothing is said of it here."""
    told = importlib.metadata.metadata(_NAME).json
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {_NAME}",
        f"Version: {version}",
        f"Summary: {told.get('summary', '')}",
        f"License: {told.get('license_expression', '')}",
    ]
    return ("\n".join(lines) + "\n").encode()


def _record(files: dict[str, bytes], own: str) -> bytes:
    lines = []
    for path in sorted(files):
        taken = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={taken.decode()},{len(files[path])}\n")
    return "".join([*lines, f"{own},,\n"]).encode()
