"""The other side: the tutorial's Dockerfile, built and pushed by Docker."""

import os
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from build import commands
from build.churn import Model
from build.commands import Ran
from build.ours import set_version
from build.parts import Parts
from build.wire import Wire

_PROJECT = Path(__file__).parent / "projects" / "tutorial"
_CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


@dataclass(frozen=True)
class Tutorial:
    """A folder with a Dockerfile."""

    folder: Path
    parts: Parts
    wire: Wire
    base: str

    @classmethod
    def make(cls, folder: Path, parts: Parts, wire: Wire, model: Model, base: str) -> "Tutorial":
        """The Dockerfile around ``model``, with the scikit-learn that trained it."""
        shutil.copytree(_PROJECT, folder)
        shutil.copy(model.pickled, folder / "model.pkl")
        asked = folder / "requirements.txt"
        pinned = f"scikit-learn=={version('scikit-learn')}"
        asked.write_text(asked.read_text().replace("scikit-learn", pinned))
        return cls(folder, parts, wire, base)

    def build(self, name: str, *, anew: bool = False) -> Ran:
        """The image; ``anew`` runs every step again. What pip has downloaded stays."""
        flags = ["--quiet", "--network", "host", "--build-arg", f"BASE={self.base}"]
        if _CERTIFICATES.is_file():
            flags += ["--secret", f"id=ca,src={_CERTIFICATES}"]
        if anew:
            flags.append("--no-cache")
        return self._docker("build", *flags, "--tag", name, str(self.folder))

    def push(self, name: str) -> Ran:
        """Build, and send to the registry."""
        return self.build(name).plus(self._docker("push", "--quiet", name))

    def change(self, version_: str) -> None:
        """Another line of code."""
        set_version(self.folder, version_)

    def _docker(self, *arguments: str) -> Ran:
        return commands.run(
            [self.parts.docker, *arguments],
            environ=self.parts.environ,
            sent=lambda: self.wire.sent,
        )
