"""Uploads that are cut: they go on where the registry says, or once more from the start."""

import http.server
import re
from pathlib import Path

import pytest
from support.registry import Registry, front, random_bytes
from support.stores import threaded, wire

from boxship.errors import ImageError
from boxship.oci.blobs import Blobs
from boxship.oci.reference import parse
from boxship.oci.registry import Repository

SIZE = 2_000_000


def repository(port: int) -> Repository:
    return Repository(parse(f"127.0.0.1:{port}/churn:7"))


def test_an_upload_that_is_cut_arrives(running: Registry, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    blob = blobs.add(random_bytes(SIZE), "")
    moved: list[int] = []
    with (
        wire(running.port, 700_000, 900_000, of_requests=True) as cut,
        repository(cut.port) as there,
    ):
        there.upload(blob, blobs.path(blob.digest), moved.append)
        assert there.has(blob)
    assert cut.happened == 2
    assert sum(moved) == SIZE
    assert running.stored(blob.digest).read_bytes() == blobs.read(blob)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_an_answer_that_is_lost_spoils_no_upload(
    running: Registry, tmp_path: Path, method: str
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    blob = blobs.add(random_bytes(SIZE), "")
    with front(running.port, lost={method: 1}) as before, repository(before.port) as there:
        there.upload(blob, blobs.path(blob.digest))
        assert there.has(blob)
    assert before.lost == {method: 0}


class Resuming(http.server.BaseHTTPRequestHandler):
    """Uploads as the specification has them, by a registry that keeps what came before a cut.

    docker-registry itself forgets it.
    """

    protocol_version = "HTTP/1.1"
    cuts: list[int]
    """How many bytes of each PATCH arrive before its connection is cut; then all of them."""
    kept: bytearray
    requests: list[str]

    def do_POST(self) -> None:
        self.requests.append(self.command)
        self.kept.clear()
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.say(202)

    def do_PATCH(self) -> None:
        self.requests.append(f"PATCH {self.headers.get('content-range', '')}".strip())
        size = int(self.headers["content-length"])
        if self.cuts:
            self.kept += self.rfile.read(self.cuts.pop(0))
            self.close_connection = True
            return
        self.kept += self.rfile.read(size)
        self.say(202)

    def do_GET(self) -> None:
        if "uploads" not in self.path:
            self.say(200)
            return
        self.requests.append(self.command)
        self.say(204)

    def do_PUT(self) -> None:
        self.requests.append(self.command)
        self.say(201 if re.search(r"\?digest=sha256%3A[0-9a-f]{64}$", self.path) else 400)

    def say(self, status: int) -> None:
        self.send_response(status)
        self.send_header("location", "/v2/churn/blobs/uploads/1")
        self.send_header("range", f"0-{max(0, len(self.kept) - 1)}")
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize(
    ("cuts", "patches"),
    [
        ([700_000, 0, 300_000], ["PATCH", *["PATCH 700000-1999999"] * 2, "PATCH 1000000-1999999"]),
        ([SIZE], ["PATCH"]),
        ([1], ["PATCH", "PATCH"]),
        ([100_000] * 9, None),
    ],
    ids=["cut midway", "cut after the last byte", "cut after the first byte", "cut often"],
)
def test_an_upload_goes_on_where_the_registry_says(
    tmp_path: Path, cuts: list[int], patches: list[str] | None
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    blob = blobs.add(random_bytes(SIZE), "")
    told: list[int] = []
    kept = bytearray()
    requests: list[str] = []
    state = {"cuts": cuts, "kept": kept, "requests": requests}
    with threaded(type("Handler", (Resuming,), state)) as port, repository(port) as there:
        there.upload(blob, blobs.path(blob.digest), told.append)
    assert kept == blobs.read(blob)
    assert sum(told) == SIZE
    if patches is not None:
        assert [one for one in requests if one.startswith("PATCH")] == patches
    assert (requests[0], requests[-1]) == ("POST", "PUT")


def test_an_upload_that_never_moves_ends(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    blob = blobs.add(random_bytes(SIZE), "")
    state = {"cuts": [0] * 100, "kept": bytearray(), "requests": []}
    with (
        threaded(type("Handler", (Resuming,), state)) as port,
        repository(port) as there,
        pytest.raises(ImageError, match=rf"^127.0.0.1:{port}/churn:7: cut off: "),
    ):
        there.upload(blob, blobs.path(blob.digest))


def test_an_empty_blob_arrives(running: Registry, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    blob = blobs.add(b"", "")
    with repository(running.port) as there:
        there.upload(blob, blobs.path(blob.digest))
        there.fetch(blob, Blobs(tmp_path / "cache"))
    assert Blobs(tmp_path / "cache").read(blob) == b""
