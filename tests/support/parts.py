"""Real engines, a registry and base images, as ``tools/parts.sh`` has started them."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boxship.oci import image, push, reference
from boxship.oci.blobs import Blobs
from boxship.oci.compression import Sink
from boxship.oci.image import Image
from boxship.oci.layer import compress
from boxship.oci.platform import Platform
from support.images import base_of

VARIABLE = "PARTS_FOLDER"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The worst that a cluster does to a container.
HARSH = (
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
)


@dataclass(frozen=True)
class Parts:
    """What runs, and how it is spoken to."""

    folder: Path

    @property
    def registry(self) -> str:
        """Its host and port."""
        return (self.folder / "registry.address").read_text().strip()

    @property
    def environ(self) -> dict[str, str]:
        """With this, ``docker`` and ``podman`` are those of the parts."""
        return {
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "DOCKER_BUILDKIT": "1",
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            # Debian's own client: a newer one elsewhere may lack what this one has built in.
            "PATH": f"/usr/bin:{os.environ['PATH']}",
        }

    def run(self, *argv: str, check: bool = True) -> str:
        """What a command of an engine prints."""
        done = subprocess.run(
            argv, env={**os.environ, **self.environ}, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip() or done.stderr.strip()


def push_base(parts: Parts, name: str, folder: Path) -> str:
    """A base image for amd64 and arm64 in the registry; its name there."""
    blobs = Blobs(folder)
    images = [
        _image(parts.folder / f"base-{architecture}.tar", Platform("linux", architecture), blobs)
        for architecture in ("amd64", "arm64")
    ]
    full = f"{parts.registry}/{name}"
    push.push(reference.parse(full), image.index(images, blobs), images, blobs)
    return full


def _image(tar: Path, platform: Platform, blobs: Blobs) -> Image:
    def copy(out: Sink) -> None:
        with tar.open("rb") as file:
            while chunk := file.read(1 << 20):
                out.write(chunk)

    return base_of(compress(copy, blobs), platform, {"PATH": _PATH}, blobs)


class Container:
    """A running container that nobody outside can reach, asked from inside by its own Python."""

    def __init__(self, parts: Parts, engine: str, name: str) -> None:
        self.parts = parts
        self.engine = engine
        self.name = name

    def ask(self, path: str, body: str = "") -> str:
        """The answer to a GET, or to a POST of JSON; "" while there is none."""
        script = (
            "import sys, urllib.request as u\n"
            "r = u.Request('http://127.0.0.1:8080' + sys.argv[1], data=sys.argv[2].encode() or None,"
            " headers={'content-type': 'application/json'})\n"
            "print(u.urlopen(r, timeout=10).read().decode())\n"
        )
        return self.parts.run(
            self.engine, "exec", self.name, "python3", "-c", script, path, body, check=False
        )

    def wait_until_ready(self, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while '{"status":"ready"}' not in self.ask("/ready"):
            assert time.monotonic() < deadline, self.logs()
            assert self.state("Running") == "true", self.logs()
            time.sleep(0.3)

    def state(self, what: str) -> str:
        return self.parts.run(
            self.engine, "inspect", self.name, "--format", f"{{{{.State.{what}}}}}"
        )

    def logs(self) -> str:
        return self.parts.run(self.engine, "logs", self.name, check=False)

    def stop(self) -> int:
        """Ask it to end as an engine does; its exit code."""
        self.parts.run(self.engine, "stop", "--time", "30", self.name)
        return int(self.state("ExitCode"))


@contextmanager
def container(
    parts: Parts, engine: str, image_name: str, *options: str, within_s: float = 60
) -> Iterator[Container]:
    """Run an image as a user that it does not know, with no network at all."""
    started = parts.run(
        engine, "run", "--detach", *HARSH, "--user", "23456:0", "--network", "none", *options,
        image_name,
    )  # fmt: skip
    running = Container(parts, engine, started.splitlines()[-1])
    try:
        running.wait_until_ready(within_s)
        yield running
    finally:
        parts.run(engine, "rm", "--force", running.name, check=False)
