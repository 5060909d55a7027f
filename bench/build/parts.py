"""The real parts that images are built with: a Docker engine, a registry, a base image."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_VARIABLE = "PARTS_FOLDER"
_FILES = {
    "docker.sock": "the socket of a Docker engine",
    "registry.address": "a registry's host:port",
    "base-amd64.tar": "a root file system with Python",
}
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Debian's own, where there is one: another client may lack BuildKit.
_CLIENTS = ("/usr/bin/docker", "docker")


@dataclass(frozen=True)
class Parts:
    """What ``tools/parts.sh up FOLDER`` has started."""

    docker: str
    host: str
    registry: str
    base: Path

    @classmethod
    def find(cls) -> Self:
        """By ``PARTS_FOLDER``. Ends the program where one is missing, and says which."""
        given = os.environ.get(_VARIABLE)
        if not given:
            raise SystemExit(
                f"{_VARIABLE} is not set: expected the folder that `tools/parts.sh up FOLDER` made."
            )
        folder = Path(given).resolve()
        lines = [
            f"  {name}: {what}" for name, what in _FILES.items() if not (folder / name).exists()
        ]
        docker = next(filter(None, map(shutil.which, _CLIENTS)), None)
        if docker is None:
            lines.append("  docker: its command line, on the PATH")
        if lines or docker is None:
            raise SystemExit(
                "\n".join([f"{_VARIABLE}={folder} has not all that is needed. Missing:", *lines])
            )
        found = cls(
            docker,
            f"unix://{folder / 'docker.sock'}",
            (folder / "registry.address").read_text().strip(),
            folder / "base-amd64.tar",
        )
        found.engine("version")
        return found

    @property
    def environ(self) -> dict[str, str]:
        """For the engine's command line."""
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"}

    def engine(self, *arguments: str, may_fail: bool = False) -> str:
        """What a command of the engine prints."""
        argv = [self.docker, *arguments]
        done = subprocess.run(argv, env=self.environ, check=False, capture_output=True, text=True)
        if done.returncode and not may_fail:
            raise SystemExit(f"docker {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def put_base(self, name: str) -> None:
        """Have the engine and the registry know the base image as ``name``.

        It stays in the engine from one run to the next, and so does what is cached on top of it.
        """
        kept = f"boxship-bench/base:{int(self.base.stat().st_mtime)}"
        if not self.engine("images", "--quiet", kept):
            self.engine("import", "-c", f"ENV {_PATH}", str(self.base), kept)
        self.engine("tag", kept, name)
        self.engine("push", "--quiet", name)
