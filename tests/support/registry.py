"""A real registry on loopback, what may stand before it, and small images for it."""

import base64
import contextlib
import http.server
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from boxship.oci.blobs import Blobs
from boxship.oci.image import Added, Image, Settings, put_together, scratch
from boxship.oci.layer import Entry, pack
from boxship.oci.platform import Platform
from support.serving import free_port
from support.stores import threaded, wait_for_port

USER, PASSWORD = "ann", "correct horse"
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@dataclass
class Registry:
    """A registry that runs, and where it keeps its files."""

    port: int
    storage: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stored(self, digest: str) -> Path:
        """The file that holds a blob."""
        name = digest.removeprefix("sha256:")
        blobs = self.storage / "docker/registry/v2/blobs/sha256"
        return blobs / name[:2] / name / "data"

    def tags(self, repository: str) -> list[str]:
        found = self.storage / "docker/registry/v2/repositories" / repository / "_manifests/tags"
        return sorted(one.name for one in found.glob("*"))


@contextlib.contextmanager
def registry(
    program: Path, folder: Path, *, login: bool = False, auth: Mapping[str, Any] | None = None
) -> Iterator[Registry]:
    """``docker-registry serve``, as a process of its own; with ``login``, for ``USER`` alone."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    if login:
        (folder / "htpasswd").write_text(_HTPASSWD)
        auth = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        **({"auth": dict(auth)} if auth else {}),
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "registry.log").open("wb") as out:
        process = subprocess.Popen(
            [program, "serve", folder / "config.yml"], stdout=out, stderr=out
        )
    try:
        wait_for_port(port, process)
        yield Registry(port, folder / "storage")
    finally:
        process.kill()
        process.wait()


def keep_login(folder: Path, host: str, user: str = USER, password: str = PASSWORD) -> None:
    """What ``docker login`` leaves behind."""
    folder.mkdir(exist_ok=True)
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": pair}}}))


def small_image(
    blobs: Blobs,
    files: Mapping[str, bytes],
    *,
    platform: Platform = AMD64,
    base: Image | None = None,
) -> Image:
    """An image with one layer of ``files``, on those of ``base``."""
    below = base or scratch(platform)
    layer = pack([Entry(path, data) for path, data in files.items()], blobs)
    created = "2026-01-01T00:00:00Z"
    return put_together(below, [Added(layer, "tests")], Settings(), created, blobs)


def random_bytes(size: int) -> bytes:
    """Content that no layer before had, and that no compression makes smaller."""
    return os.urandom(size)


def spoil(blob: Path) -> None:
    """Have a blob hold other bytes, as many as before, which only force can do."""
    blob.chmod(0o644)
    blob.write_bytes(bytes(blob.stat().st_size))


@dataclass
class Front:
    """Passes requests on to a registry. Before that, it may have a bad minute.

    ``busy`` counts the answers of 503 that each kind of request still gets: ``{"GET": 2}``;
    ``lost`` those that the registry makes and nobody gets, the connection closed instead.
    """

    upstream: int
    busy: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    """The status that each kind of request gets, always."""
    retry_after: str = ""
    """What an answer of 503 asks for."""
    mounts: bool = True
    """Else what asks to mount begins an upload, as in registries that cannot."""
    unmountable: int = 0
    """The status that what asks to mount gets, if not 0."""
    requests: list[str] = field(default_factory=list)
    """Method and path of each."""
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def front(upstream: int, **options: Any) -> Iterator[Front]:
    """Stand before the registry on port ``upstream`` until the end."""
    made = Front(upstream, **options)
    with httpx.Client(base_url=f"http://127.0.0.1:{upstream}", timeout=30) as client:
        handler = type("Handler", (_Passing,), {"front": made, "client": client})
        with threaded(handler) as port:
            made.port = port
            yield made


class _Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front
    client: httpx.Client

    def do_GET(self) -> None:
        made = self.front
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        made.requests.append(f"{self.command} {self.path}")
        if made.busy.get(self.command, 0):
            made.busy[self.command] -= 1
            self.say(503, {"retry-after": made.retry_after} if made.retry_after else {}, b"")
        elif status := made.refused.get(self.command, 0):
            self.say(status, {}, b"")
        elif made.unmountable and "?mount=" in self.path:
            self.say(made.unmountable, {}, b"")
        else:
            path = self.path if made.mounts else self.path.partition("?mount=")[0]
            answer = self.client.request(
                self.command, path, headers=dict(self.headers), content=body
            )
            if made.lost.get(self.command, 0):
                made.lost[self.command] -= 1
                self.close_connection = True
            else:
                self.say(answer.status_code, answer.headers, answer.content)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 (what the server looks for)

    def say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name not in ("content-length", "connection", "date"):
                self.send_header(name, value)
        size = headers.get("content-length", "0") if self.command == "HEAD" else len(body)
        self.send_header("content-length", str(size))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
