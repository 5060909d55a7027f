"""A registry that misbehaves, and wires that are cut: the right bytes, or one clear error."""

from pathlib import Path

import pytest
from support.registry import (
    Registry,
    front,
    random_bytes,
    small_image,
)
from support.serving import free_port
from support.stores import Site, site, wire

from boxship.errors import EXIT_DIGEST, DigestError, ImageError
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import Descriptor
from boxship.oci.push import push
from boxship.oci.reference import parse
from boxship.oci.registry import Repository
from boxship.oci.source import Source

SIZE = 2_000_000


@pytest.fixture
def blob(running: Registry, tmp_path: Path) -> Descriptor:
    """The large layer of ``churn:7``, which the registry has."""
    blobs = Blobs(tmp_path / "blobs")
    made = small_image(blobs, {"a": random_bytes(SIZE)})
    push(parse(f"{running.host}/churn:7"), made.manifest, [made], blobs)
    return made.layers[0].blob


def repository(port: int) -> Repository:
    return Repository(parse(f"127.0.0.1:{port}/churn:7"))


def leftovers(blobs: Blobs) -> list[str]:
    return [one.name for one in blobs.folder.rglob("*") if one.is_file()]


def test_a_download_that_is_cut_goes_on_where_it_was_cut(
    running: Registry, blob: Descriptor, cache: Blobs
) -> None:
    moved: list[int] = []
    with (
        wire(running.port, 500_000, 700_000) as cut,
        repository(cut.port) as there,
    ):
        there.fetch(blob, cache, moved.append)
    assert (cut.happened, cut.cuts) == (2, [])
    assert cache.has(blob)
    assert sum(moved) == blob.size
    assert cut.passed < SIZE - 1_000_000, "only the rest came after the second cut"


def test_a_download_that_moves_on_may_be_cut_often(
    running: Registry, blob: Descriptor, cache: Blobs
) -> None:
    with wire(running.port, *[200_000] * 9) as cut, repository(cut.port) as there:
        there.fetch(blob, cache)
    assert cut.happened == 9
    assert cache.has(blob)


def test_a_download_that_never_moves_ends(
    running: Registry, blob: Descriptor, cache: Blobs
) -> None:
    with (
        wire(running.port, *[100] * 100) as cut,
        repository(cut.port) as there,
        pytest.raises(ImageError, match=f"127.0.0.1:{cut.port}"),
    ):
        there.fetch(blob, cache)
    assert leftovers(cache) == []


def test_before_a_cut_download_goes_on_it_is_waited(
    running: Registry, blob: Descriptor, cache: Blobs
) -> None:
    with wire(running.port, 500_000) as cut, repository(cut.port) as there:
        there.give_up()
        with pytest.raises(ImageError, match="Given up while waiting"):
            there.fetch(blob, cache)
    assert leftovers(cache) == []


def test_a_server_without_ranges_sends_it_again(tmp_path: Path, cache: Blobs) -> None:
    """Nothing is kept twice, and nothing is told twice."""
    content = random_bytes(SIZE)
    blob = Blobs(tmp_path / "blobs").add(content, "")
    pages = Site(files={"/v2/": b"", f"/v2/churn/blobs/{blob.digest}": content}, ranges=False)
    moved: list[int] = []
    with site(pages), wire(pages.port, 900_000) as cut, repository(cut.port) as there:
        there.fetch(blob, cache, moved.append)
    assert (cut.happened, sum(moved), cache.read(blob)) == (1, SIZE, content)


def test_a_registry_that_is_busy_for_a_while_is_waited_for(
    running: Registry, tmp_path: Path, cache: Blobs
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    made = small_image(blobs, {"a": random_bytes(SIZE)})
    busy = {"HEAD": 2, "POST": 2, "PATCH": 2, "PUT": 2, "GET": 3}
    with front(running.port, busy=busy) as before:
        done = push(parse(f"{before.host}/churn:7"), made.manifest, [made], blobs)
        assert [before.busy[kind] for kind in ("HEAD", "POST", "PATCH", "PUT")] == [0] * 4
        assert (done.sent, running.tags("churn")) == (done.size, ["7"])
        before.busy = {"GET": 3}
        with repository(before.port) as there:
            there.fetch(made.layers[0].blob, cache)
    assert before.busy == {"GET": 0}
    assert cache.has(made.layers[0].blob)


def test_a_registry_that_stays_busy_is_one_clear_error(
    running: Registry, blob: Descriptor, cache: Blobs
) -> None:
    with (
        front(running.port, refused={"GET": 503}) as before,
        repository(before.port) as there,
        pytest.raises(ImageError, match=r"^127.0.0.1:\d+/churn:7: the registry refuses: 503\.$"),
    ):
        there.fetch(blob, cache)
    assert leftovers(cache) == []


def test_a_registry_that_cannot_be_reached_is_one_clear_error(cache: Blobs) -> None:
    host = f"127.0.0.1:{free_port()}"
    with (
        Source(f"{host}/churn:7", cache) as source,
        pytest.raises(ImageError, match=f"^{host}: cannot be reached: .*refused"),
    ):
        source.platforms()


def test_a_blob_of_other_bytes_is_refused(
    running: Registry, blob: Descriptor, cache: Blobs
) -> None:
    file = running.stored(blob.digest)
    file.write_bytes(bytes(file.stat().st_size))
    found = cache.add(bytes(blob.size), "").digest
    with repository(running.port) as there, pytest.raises(DigestError) as caught:
        there.fetch(blob, cache)
    assert caught.value.message == (
        f"{running.host}/churn:7: expected the digest {blob.digest}, found {found}."
    )
    assert caught.value.exit_code == EXIT_DIGEST
    assert leftovers(cache) == [found.removeprefix("sha256:")]


def test_a_blob_without_an_end_is_refused(
    running: Registry, blob: Descriptor, cache: Blobs
) -> None:
    short = Descriptor("", blob.digest, 1000)
    with (
        repository(running.port) as there,
        pytest.raises(ImageError, match=f"expected 1000 bytes of {blob.digest}, found more"),
    ):
        there.fetch(short, cache)
    assert leftovers(cache) == []


def test_a_manifest_of_other_bytes_is_refused(running: Registry, blob: Descriptor) -> None:
    with repository(running.port) as there:
        found = there.manifest("7")
        wrong = f"sha256:{'0' * 64}"
        pages = Site(files={"/v2/": b"", f"/v2/churn/manifests/{wrong}": found[1]})
    with site(pages), repository(pages.port) as there, pytest.raises(DigestError) as caught:
        there.manifest(wrong)
    assert wrong in caught.value.message
    assert found[0].digest in caught.value.message


def test_a_page_that_is_no_manifest_is_refused() -> None:
    pages = Site(files={"/v2/": b"", "/v2/churn/manifests/7": b"<html>Welcome</html>"})
    with (
        site(pages),
        repository(pages.port) as there,
        pytest.raises(ImageError, match="expected a manifest, found no JSON"),
    ):
        there.manifest("7")


def test_what_is_not_there(running: Registry, blob: Descriptor, cache: Blobs) -> None:
    with repository(running.port) as there:
        assert there.find_manifest("8") is None
        assert there.find_manifest("7") == there.manifest("7")
        with pytest.raises(ImageError, match="no image '8' there") as caught:
            there.manifest("8")
        assert caught.value.tip == "Check its name and tag."
        missing = Descriptor("", f"sha256:{'0' * 64}", 10)
        assert not there.has(missing)
        with pytest.raises(ImageError, match=f"no blob {missing.digest}"):
            there.fetch(missing, cache)
    with (
        Source(f"{running.host}/nobody/knows:1", cache) as source,
        pytest.raises(ImageError, match=r"/nobody/knows:1: no image '1' there"),
    ):
        source.platforms()
    assert leftovers(cache) == []
