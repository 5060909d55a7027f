"""What images are made of in tests: a base with this machine's own Python, wheels, an index."""

import base64
import contextlib
import hashlib
import http.server
import io
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from boxship import lock
from boxship.artifact import model_file
from boxship.build import plan as plans
from boxship.build.base import interpreter
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.locking import lock_image
from boxship.build.native import Native
from boxship.build.plan import BuildPlan
from boxship.lock import Lock, LockedModel
from boxship.oci import layout
from boxship.oci.blobs import Blobs
from boxship.oci.contents import walk
from boxship.oci.image import Added, Image, Settings, put_together, scratch
from boxship.oci.layer import Entry, Layer, pack
from boxship.oci.platform import Platform
from boxship.project import Project
from support.stores import threaded

MakeProject = Callable[..., Project]
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PUBLISHED = "registry.test/python:3.11-slim"
_LEFT_OUT = ("site-packages", "test", "idlelib", "__pycache__", "ensurepip", "tkinter", "lib2to3")
_PROMISED = (
    "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6", "libresolv.so.2",
    "libnsl.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libatomic.so.1",
)  # fmt: skip


def make_base(folder: Path, *, platform: Platform | None = None) -> Path:
    """An OCI layout whose one layer holds this Python, its library and what they link to."""
    blobs = Blobs(folder.with_name(f"{folder.name}-blobs"))
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    image = base_of(pack(_python(), blobs), platform or interpreter.here(), variables, blobs)
    layout.write(folder, image.manifest, [image], blobs)
    return folder


def base_of(layer: Layer, platform: Platform, variables: Mapping[str, str], blobs: Blobs) -> Image:
    """A base image of one layer, which starts its Python."""
    settings = Settings(environment=variables, command=("python3",))
    added = [Added(layer, "tests")]
    return put_together(scratch(platform), added, settings, "2026-01-01T00:00:00Z", blobs)


def _python() -> list[Entry]:
    """Under ``usr/local``, as the official images have it; libraries and loader under ``lib``."""
    program = Path(sys.executable).resolve()
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    found = [Entry(f"usr/local/bin/python{MINOR}", program, executable=True)]
    for path in stdlib.rglob("*"):
        inside = path.relative_to(stdlib)
        if path.is_file() and not set(inside.parts) & set(_LEFT_OUT):
            executable = path.suffix == ".so"
            found.append(Entry(f"usr/local/lib/python{MINOR}/{inside}", path, executable))
    linked: set[Path] = set()
    for binary in (program, *(stdlib / "lib-dynload").glob("*.so")):
        told = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        linked |= {Path(one) for one in re.findall(r"(/\S+) \(0x", told)}
    # Wheels link to more than Python itself does: what the tag manylinux promises them.
    beside = {one.parent for one in linked if one.name == "libc.so.6"}
    linked |= {folder / name for folder in beside for name in _PROMISED if (folder / name).exists()}
    for library in linked:
        folder = "lib64" if library.name.startswith("ld-linux-x86") else "lib"
        found.append(Entry(f"{folder}/{library.name}", library.resolve(), executable=True))
    return found


def make_wheel(
    name: str, version: str, files: Mapping[str, bytes | str], *, tag: str = "py3-none-any",
    requires: tuple[str, ...] = (),
) -> tuple[str, bytes]:  # fmt: skip
    """A wheel's file name and its bytes."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    inside = {
        **{path: text.encode() if isinstance(text, str) else text for path, text in files.items()},
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = ""
    for path, content in inside.items():
        taken = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={taken},{len(content)}\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, content in inside.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return f"{name.replace('-', '_')}-{version}-{tag}.whl", data.getvalue()


def make_source(name: str, version: str, files: Mapping[str, str]) -> tuple[str, bytes]:
    """A source distribution that setuptools makes a wheel of, and its file name."""
    module = name.replace("-", "_")
    setup = (
        "from setuptools import setup\n"
        f"setup(name={name!r}, version={version!r}, py_modules=[{module!r}])\n"
    )
    stem = f"{module}-{version}"
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for path, text in {"setup.py": setup, **files}.items():
            entry = tarfile.TarInfo(f"{stem}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return f"{stem}.tar.gz", written.getvalue()


class Index:
    """A package index on loopback.

    ``requests`` has the Authorization of each; ``sent`` are the bytes of files that were taken.
    """

    def __init__(
        self,
        wheels: Mapping[str, bytes],
        *,
        login: str = "",
        ranges: bool = False,
        heads: bool = True,
    ) -> None:
        self.wheels = dict(wheels)
        self.login = login
        self.ranges = ranges
        self.heads = heads
        self.requests: list[str] = []
        self.sent = 0
        self.port = 0

    def address(self, file: str) -> str:
        return f"http://127.0.0.1:{self.port}/files/{file}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple"

    def page(self, path: str) -> bytes | None:
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            return self.wheels.get(parts[-1])
        names = {canonicalize_name(file.split("-")[0]) for file in self.wheels}
        if parts[0] != "simple" or len(parts) != 2 or parts[1] not in names:
            return None
        links = [
            f'<a href="/files/{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>'
            for file, data in self.wheels.items()
            if canonicalize_name(file.split("-")[0]) == parts[1]
        ]
        return "<html><body>\n{}\n</body></html>".format("\n".join(links)).encode()


@contextlib.contextmanager
def serving_index(index: Index) -> Iterator[Index]:
    """Answer for ``index`` until the end."""

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("authorization", "")
            index.requests.append(given)
            wanted = f"Basic {base64.b64encode(index.login.encode()).decode()}"
            page = index.page(self.path)
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
            if index.login and given != wanted:
                self.send_response(401)
                self.send_header("www-authenticate", "Basic")
                page = b""
            elif self.command == "HEAD" and not index.heads:
                self.send_response(403)
                page = b""
            elif page is not None and part and index.ranges:
                first, last = int(part[1]), int(part[2])
                self.send_response(206)
                self.send_header("content-range", f"bytes {first}-{last}/{len(page)}")
                page = page[first : last + 1]
            else:
                self.send_response(200 if page is not None else 404)
            kind = "text/html" if self.path.startswith("/simple") else "application/zip"
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(page or b"")))
            self.end_headers()
            for start in range(0, len(page or b"") if self.command == "GET" else 0, 65536):
                piece = (page or b"")[start : start + 65536]
                self.wfile.write(piece)
                index.sent += len(piece) if self.path.startswith("/files") else 0

        do_HEAD = do_GET  # noqa: N815 (the name that the server looks for)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with threaded(Pages) as port:
        index.port = port
        yield index


def locked(found: Project, cache: LayerCache, **options: object) -> Lock:
    """The project's lock, written down as the command does it."""
    model = None
    if found.model_path:
        examined = model_file.examine(Path(found.model_path))
        model = LockedModel(found.model_location, examined.digest, examined.size)
    whole = lock_image(found, Lock(model), blobs=cache.blobs, **options)  # type: ignore[arg-type]
    lock.write(found.folder, whole)
    return whole


def planned(found: Project, cache: LayerCache) -> BuildPlan:
    """What an image of the project would be, locked anew."""
    return plans.decide(found, locked(found, cache))


def publish(found: Project, cache: LayerCache) -> None:
    """Lock the project, and name its base as one in a registry, where engines find it."""
    whole = locked(found, cache)
    assert whole.base is not None
    lock.write(found.folder, replace(whole, base=replace(whole.base, name=PUBLISHED)))
    settings = found.folder / "boxship.toml"
    settings.write_text(settings.read_text().replace(whole.base.name, PUBLISHED))


def in_registry(plan: BuildPlan) -> BuildPlan:
    """The same with its base where engines find it, which a Dockerfile asks for."""
    return replace(plan, base=replace(plan.base, name=PUBLISHED))


def built(found: Project, cache: LayerCache) -> Image:
    """The image of the project, for one platform."""
    (image,) = Native(planned(found, cache), cache).build()
    return image


def contents_of(image: Image, cache: LayerCache) -> dict[str, tarfile.TarInfo]:
    """Everything that was put onto the base."""
    seen: dict[str, tarfile.TarInfo] = {}
    for layer in image.layers[1:]:
        walk(layer.blob, cache.blobs, lambda entry, _: seen.update({entry.name: entry}))
    return seen
