"""OCI image layouts: an image in a folder. Written whole or not at all."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from boxship.errors import ImageError
from boxship.oci import descriptor
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import Descriptor, canonical
from boxship.oci.image import Image

_VERSION = {"imageLayoutVersion": "1.0.0"}
_PARTS = {"oci-layout", "index.json", "blobs", "ingest", "manifest.json", "repositories"}
"""What a layout holds; the last three are there where containerd or Docker wrote it."""
_NAME = "org.opencontainers.image.ref.name"


def write(
    folder: Path, top: Descriptor, images: Sequence[Image], source: Blobs, *, name: str = ""
) -> None:
    """Put images and, where there are several, their index ``top`` into ``folder``.

    A layout that was there is replaced; anything else there is left, and refused.
    https://github.com/opencontainers/image-spec/blob/main/image-layout.md

    Raises ``ImageError`` and ``OSError``.
    """
    with replacing(folder) as part:
        blobs = Blobs(part / "blobs")
        for image in images:
            for blob in (*image.blobs, image.manifest):
                blobs.take(blob, source)
        blobs.take(top, source)
        shown = top.as_json()
        if name:
            shown["annotations"] = {_NAME: name}
        index = {"schemaVersion": 2, "mediaType": descriptor.INDEX, "manifests": [shown]}
        (part / "index.json").write_bytes(canonical(index))
        (part / "oci-layout").write_bytes(canonical(_VERSION))


def check(folder: Path) -> None:
    """Raise ``ImageError`` where something is there that a layout must not replace."""
    if folder.exists() and not (folder.is_dir() and _replaceable(folder)):
        raise ImageError(
            f"{folder}: expected no file, an empty folder or an image layout, found something else.",
            tip="Name another folder: nothing was changed.",
        )


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of a layout at ``folder`` once it is complete."""
    check(folder)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield part
        part.chmod(0o755)
        _exchange(folder, part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _exchange(folder: Path, part: Path) -> None:
    """Have ``part`` be ``folder``, and what was there be no more; or all as it was."""
    if not folder.exists():
        part.rename(folder)
        return
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    old = beside / folder.name
    try:
        folder.rename(old)
        part.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        beside.rmdir()
        raise
    shutil.rmtree(beside, ignore_errors=True)


def _replaceable(folder: Path) -> bool:
    found = {one.name for one in folder.iterdir()}
    return not found or ("oci-layout" in found and found <= _PARTS)


class Layout:
    """A layout that somebody wrote, to read from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.blobs = Blobs(folder / "blobs")

    def top(self, name: str = "") -> Descriptor:
        """The image of a name; of none, where the layout has one image. Raises ``ImageError``."""
        where = f"{self._folder}/index.json"
        try:
            value: Any = json.loads((self._folder / "index.json").read_bytes())
            found = [descriptor.read(entry, where) for entry in value["manifests"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ImageError(
                f"{self._folder}: expected an OCI image layout, found none: {error}."
            ) from None
        named = [one for one in found if not name or one.annotations.get(_NAME) == name]
        if len(named) != 1:
            names = ", ".join(sorted(one.annotations.get(_NAME, one.digest) for one in found))
            raise ImageError(
                f"{self._folder}: expected one image{f' named {name!r}' if name else ''}, "
                f"found {len(named)} of: {names or 'none'}."
            )
        return named[0]


def verify(folder: Path) -> int:
    """Read every byte of a layout's images, and hold it against the digests; the bytes in all.

    Raises ``ImageError`` that names the blob that is missing or other than its name says.
    """
    layout = Layout(folder)
    waiting, seen = [layout.top()], set[str]()
    total = 0
    while waiting:
        blob = waiting.pop()
        if blob.digest in seen:
            continue
        seen.add(blob.digest)
        total += _check(layout.blobs.path(blob.digest), blob)
        if blob.media_type in (*descriptor.INDEXES, *descriptor.MANIFESTS):
            value: Any = json.loads(layout.blobs.read(blob))
            named = [*value.get("manifests", ()), *value.get("layers", ())]
            named += [value["config"]] if "config" in value else []
            waiting += [descriptor.read(one, str(folder)) for one in named]
    return total


def _check(file: Path, blob: Descriptor) -> int:
    try:
        with file.open("rb") as opened:
            found = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
        size = file.stat().st_size
    except FileNotFoundError:
        raise ImageError(f"{file}: expected a blob of {blob.size} bytes, found none.") from None
    if (found, size) != (blob.digest, blob.size):
        raise ImageError(
            f"{file}: expected {blob.size} bytes of {blob.digest}, found {size} of {found}."
        )
    return size
