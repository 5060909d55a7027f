"""Boxship's side: the native builder, with a cache that belongs to this run."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from build import commands
from build.churn import Model
from build.commands import Ran
from build.wire import Wire
from places import PYTHON

_PROJECT = Path(__file__).parent / "projects" / "boxship"


@dataclass(frozen=True)
class Ours:
    """A project in ``folder``; ``room`` has the caches."""

    folder: Path
    room: Path
    wire: Wire

    @classmethod
    def make(cls, folder: Path, room: Path, wire: Wire, model: Model, base: str) -> "Ours":
        """The project around ``model``, not yet locked."""
        shutil.copytree(_PROJECT, folder)
        shutil.copy(model.onnx, folder / "churn.onnx")
        settings = folder / "boxship.toml"
        settings.write_text(settings.read_text().replace("BASE", base))
        return cls(folder, room, wire)

    def boxship(self, *arguments: str, watched: bool = False) -> Ran:
        """A verb of Boxship, in the project's folder."""
        caches = {
            "BOXSHIP_CACHE": str(self.room / "cache"),
            "UV_CACHE_DIR": str(self.room / "uv"),
        }
        return commands.run(
            [str(PYTHON), "-m", "boxship", *arguments],
            environ={**os.environ, **caches},
            cwd=self.folder,
            watched=watched,
            sent=lambda: self.wire.sent,
        )

    def build(self, *, watched: bool = False) -> Ran:
        """Into a layout."""
        return self.boxship("build", "-o", "oci:image.oci", watched=watched)

    def push(self, name: str) -> Ran:
        """Build, and send to the registry."""
        return self.boxship("build", "-t", name, "--push")

    def change(self, version: str) -> None:
        """Another line of code."""
        set_version(self.folder, version)

    def forget_layers(self) -> None:
        """As if no layer had been packed before; the base image and the wheels stay."""
        images = self.room / "cache" / "images"
        for name in ("layers", "done"):
            shutil.rmtree(images / name, ignore_errors=True)


def set_version(folder: Path, version: str) -> None:
    """Change the one line of a service's code that says so."""
    file = folder / "src" / "serve.py"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(
        "".join(
            f'VERSION = "{version}"\n' if line.startswith("VERSION = ") else line for line in lines
        )
    )
