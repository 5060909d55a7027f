"""Container engines on this machine: Docker and Podman, through their own commands."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boxship import process
from boxship.errors import ImageError
from boxship.oci import archive
from boxship.oci.blobs import Blobs
from boxship.oci.image import Image

Kind = Literal["docker", "podman"]
KINDS: tuple[Kind, ...] = ("docker", "podman")


@dataclass(frozen=True)
class Engine:
    """An engine that answers. ``program`` is its command."""

    kind: Kind
    program: str

    def load(self, image: Image, blobs: Blobs, name: str) -> None:
        """Have the engine keep ``image`` as ``name``. Raises ``ImageError`` and ``OSError``."""
        with tempfile.TemporaryDirectory(prefix="boxship-load-") as folder:
            file = Path(folder) / "image.tar"
            archive.write(file, image, blobs, name)
            self.run("load", "--input", str(file))

    def run(self, *arguments: str) -> str:
        """What a command of the engine prints. Raises ``ImageError`` with what it said."""
        environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
        done = process.run([self.program, *arguments], environ=environ)
        if done.code != 0:
            raise ImageError(f"{self.kind} {arguments[0]}: {done.said()}")
        return done.stdout


def find(wanted: Kind | None = None) -> Engine:
    """The engine that is wanted, else the first that answers. Raises ``ImageError``."""
    reasons = []
    for kind in KINDS if wanted is None else (wanted,):
        program = shutil.which(kind)
        if program is None:
            reasons.append(f"{kind}: no such command")
            continue
        done = process.run([program, "info", "--format", "{{json .}}"], environ=os.environ)
        if done.code == 0 and "ServerErrors" not in done.stdout:
            return Engine(kind, program)
        last = done.said().splitlines()[-1]
        reasons.append(f"{kind}: {last.strip().removesuffix('.')}")
    raise ImageError(
        f"Expected {' or '.join(KINDS) if wanted is None else wanted}, found none that answers: "
        f"{'; '.join(reasons)}.",
        tip="Start it, or write the image into a folder: -o oci:DIR",
    )
