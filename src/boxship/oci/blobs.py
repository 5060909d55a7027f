"""A folder of blobs, each under its digest: whole ones only, shared by many processes."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from boxship.errors import DigestError
from boxship.files import naming
from boxship.oci.descriptor import Descriptor


class Incoming:
    """A blob that is being written; its digest is taken on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append ``data``. Raises ``OSError``."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def check(self, expected: str) -> None:
        """Raises ``DigestError`` where another blob was ``expected``; "" expects none."""
        if expected and self.digest != expected:
            raise DigestError("a blob", expected, self.digest)

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"


class Blobs:
    """``sha256/<hex>`` under a folder, as an OCI layout keeps them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob of a digest lies, or would."""
        algorithm, _, name = digest.partition(":")
        return self.folder / algorithm / name

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is here, and used now. A file under its digest's name is always whole."""
        path = self.path(blob.digest)
        try:
            found = path.stat().st_size == blob.size
        except FileNotFoundError:
            return False
        with contextlib.suppress(OSError):  # a folder that is only read
            os.utime(path)
        return found

    @contextlib.contextmanager
    def adding(self, expected: str = "") -> Iterator[Incoming]:
        """Take in a blob piece by piece; it is kept at the end, if nothing was raised.

        Raises ``OSError``, and ``DigestError`` where it is not the ``expected`` one.
        """
        (self.folder / "sha256").mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".incoming-")
        part = Path(name)
        try:
            with naming(self.folder), os.fdopen(handle, "wb") as file:
                incoming = Incoming(file)
                yield incoming
            incoming.check(expected)
            # An image layout may be linked to it: nobody shall change both by an edit of one.
            part.chmod(0o444)
            part.replace(self.path(incoming.digest))
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """Keep ``data``. Raises ``OSError``."""
        with self.adding() as incoming:
            incoming.write(data)
        return Descriptor(media_type, incoming.digest, incoming.size)

    def read(self, blob: Descriptor) -> bytes:
        """A small blob's bytes. Raises ``OSError``."""
        return self.path(blob.digest).read_bytes()

    def take(self, blob: Descriptor, other: "Blobs") -> None:
        """Have a blob of ``other`` here too: linked where both are on one disk, else copied."""
        target = self.path(blob.digest)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        source = other.path(blob.digest)
        try:
            os.link(source, target)
        except OSError:
            with self.adding(blob.digest) as incoming, source.open("rb") as file:
                shutil.copyfileobj(file, incoming, 1 << 20)
