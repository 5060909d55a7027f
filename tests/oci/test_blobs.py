"""A folder of blobs holds whole ones, and nothing else."""

import hashlib
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from support.disks import full_after
from support.registry import random_bytes, spoil

from boxship.errors import DigestError
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import Descriptor

WRONG = f"sha256:{'0' * 64}"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def files(blobs: Blobs) -> list[str]:
    return [one.name for one in blobs.folder.rglob("*") if one.is_file()]


@given(st.lists(st.binary(max_size=100), max_size=10))
@settings(max_examples=50, deadline=None)
def test_pieces_make_a_blob(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    whole = b"".join(pieces)
    with blobs.adding(digest_of(whole)) as incoming:
        for piece in pieces:
            incoming.write(piece)
        assert files(blobs) == [one.name for one in blobs.folder.glob(".incoming-*")]
    assert (incoming.digest, incoming.size) == (digest_of(whole), len(whole))
    assert blobs.path(incoming.digest).read_bytes() == whole
    assert files(blobs) == [hashlib.sha256(whole).hexdigest()]


def test_a_blob_can_be_read_by_all_and_changed_by_nobody(blobs: Blobs) -> None:
    added = blobs.add(b"abc", "text/plain")
    assert added == Descriptor("text/plain", digest_of(b"abc"), 3)
    assert blobs.read(added) == b"abc"
    assert stat.S_IMODE(blobs.path(added.digest).stat().st_mode) == 0o444


def test_a_blob_of_another_size_is_not_here(blobs: Blobs) -> None:
    added = blobs.add(b"abc", "")
    assert blobs.has(added)
    assert not blobs.has(Descriptor("", added.digest, 4))
    assert not blobs.has(Descriptor("", WRONG, 3))


def test_a_wrong_digest_is_refused(blobs: Blobs) -> None:
    with pytest.raises(DigestError) as caught, blobs.adding(WRONG) as incoming:
        incoming.write(b"abc")
    assert WRONG in caught.value.message
    assert digest_of(b"abc") in caught.value.message
    assert files(blobs) == []


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(blobs: Blobs, error: type[BaseException]) -> None:
    def fail() -> None:
        with blobs.adding() as incoming:
            incoming.write(b"abc")
            raise error

    with pytest.raises(error):
        fail()
    assert files(blobs) == []


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_full_disk_leaves_nothing(blobs: Blobs, size: int) -> None:
    """Whether it is found full at a write, or only at the end."""
    with full_after(10), pytest.raises(OSError, match="too large"):
        blobs.add(bytes(size), "")
    assert files(blobs) == []


def test_the_same_blob_may_come_several_times_at_once(blobs: Blobs) -> None:
    data = random_bytes(300_000)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: blobs.add(data, ""), range(16)))
    assert added == [added[0]] * 16
    assert blobs.read(added[0]) == data
    assert len(files(blobs)) == 1


def test_a_blob_of_the_same_disk_is_linked(blobs: Blobs, tmp_path: Path) -> None:
    added = blobs.add(b"abc", "")
    other = Blobs(tmp_path / "other")
    other.take(added, blobs)
    other.take(added, blobs)
    assert other.path(added.digest).samefile(blobs.path(added.digest))
    assert files(other) == files(blobs)


@pytest.fixture
def elsewhere(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    """A folder on another disk, to which nothing can be linked."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    return Blobs(memory / f"{tmp_path.name}-{tmp_path_factory.getbasetemp().name}")


@pytest.mark.optional_part("a container may have one file system")
def test_a_blob_of_another_disk_is_copied(blobs: Blobs, elsewhere: Blobs) -> None:
    added, broken = blobs.add(random_bytes(3_000_000), ""), blobs.add(b"abc", "")
    spoil(blobs.path(broken.digest))
    try:
        elsewhere.take(added, blobs)
        assert elsewhere.read(added) == blobs.read(added)
        with pytest.raises(DigestError):
            elsewhere.take(broken, blobs)
        assert files(elsewhere) == [added.digest.removeprefix("sha256:")]
    finally:
        shutil.rmtree(elsewhere.folder)


def test_a_blob_that_is_not_there_cannot_be_taken(blobs: Blobs, tmp_path: Path) -> None:
    other = Blobs(tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        other.take(Descriptor("", WRONG, 3), blobs)
    assert files(other) == []
