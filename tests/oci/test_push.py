"""Pushing into a real registry: all of it arrives, nothing twice, and its name comes last."""

import time
from pathlib import Path

import pytest
from conftest import Need
from support.registry import (
    AMD64,
    ARM64,
    PASSWORD,
    Front,
    Registry,
    front,
    keep_login,
    random_bytes,
    registry,
    small_image,
    spoil,
)

from boxship.errors import ImageError
from boxship.oci import image
from boxship.oci.blobs import Blobs
from boxship.oci.image import Image
from boxship.oci.push import Progress, push
from boxship.oci.reference import parse
from boxship.oci.registry import Repository
from boxship.oci.source import Source


def pushed(host: str, made: Image, blobs: Blobs, name: str = "team/churn:7") -> Progress:
    return push(parse(f"{host}/{name}"), made.manifest, [made], blobs)


def test_an_image_comes_back_bit_for_bit(running: Registry, blobs: Blobs, tmp_path: Path) -> None:
    made = small_image(blobs, {"a": b"1", "b": random_bytes(3_000_000)})
    done = pushed(running.host, made, blobs)
    assert done == Progress(sent=done.size, saved=0, size=sum(one.size for one in made.blobs))
    cache = Blobs(tmp_path / "cache")
    with Source(f"docker://{running.host}/team/churn:7", cache) as source:
        (manifest,) = source.platforms().values()
        found = source.image(manifest)
    assert found.manifest.digest == made.manifest.digest
    assert (found.config, found.layers, found.platform) == (made.config, made.layers, AMD64)
    for blob in (*made.blobs, made.manifest):
        assert cache.read(blob) == blobs.read(blob)


def test_an_index_of_two_platforms_comes_back_bit_for_bit(
    running: Registry, blobs: Blobs, tmp_path: Path
) -> None:
    made = [small_image(blobs, {"a": str(p).encode()}, platform=p) for p in (AMD64, ARM64)]
    top = image.index(made, blobs)
    reference = parse(f"{running.host}/churn:7")
    push(reference, top, made, blobs)
    with Repository(reference) as repository:
        found = repository.manifest("7")
    assert found is not None
    assert (found[0], found[1]) == (top, blobs.read(top))
    with Source(str(reference), Blobs(tmp_path / "cache")) as source:
        platforms = source.platforms()
        assert list(platforms) == [AMD64, ARM64]
        images = [source.image(platforms[one]) for one in (AMD64, ARM64)]
    assert images == made


def test_a_second_push_sends_nothing(running: Registry, blobs: Blobs) -> None:
    made = small_image(blobs, {"a": random_bytes(100_000)})
    size = pushed(running.host, made, blobs).size
    assert pushed(running.host, made, blobs) == Progress(sent=0, saved=size, size=size)
    assert pushed(running.host, made, blobs, "team/churn:8").sent == 0
    assert running.tags("team/churn") == ["7", "8"]


def test_only_what_is_new_is_sent(running: Registry, blobs: Blobs) -> None:
    base = small_image(blobs, {"a": random_bytes(100_000)})
    pushed(running.host, base, blobs, "base:1")
    made = small_image(blobs, {"b": random_bytes(1000)}, base=base)
    new = made.config_blob.size + made.layers[-1].blob.size
    name = f"{running.host}/team/churn:7"
    done = push(parse(name), made.manifest, [made], blobs, bases=[f"{running.host}/base:1"])
    assert done == Progress(sent=new, saved=base.layers[0].blob.size, size=done.size)


def mounted_from(made: Image, blobs: Blobs, before: Front) -> Progress:
    """Pushed beside three repositories, of which ``base`` has the image and the last could too."""
    bases = [f"{before.host}/{name}:1" for name in ("none", "base", "base2")]
    reference = parse(f"{before.host}/team/churn:7")
    return push(reference, made.manifest, [made], blobs, bases=bases)


def open_uploads(running: Registry, repository: str) -> list[str]:
    """What the registry still keeps of uploads that nobody has ended."""
    folder = running.storage / "docker/registry/v2/repositories" / repository / "_uploads"
    return [one.name for one in folder.glob("*")]


@pytest.mark.parametrize("mounts", [True, False])
def test_no_upload_is_left_open(running: Registry, blobs: Blobs, *, mounts: bool) -> None:
    """Of several repositories, only one that has the layer is asked to give it."""
    base = small_image(blobs, {"a": random_bytes(100_000)})
    for name in ("base:1", "base2:1"):
        pushed(running.host, base, blobs, name)
    made = small_image(blobs, {"b": random_bytes(1000)}, base=base)
    with front(running.port, mounts=mounts) as before:
        done = mounted_from(made, blobs, before)
        posts = [one for one in before.requests if one.startswith("POST")]
    assert done.saved == (base.layers[0].blob.size if mounts else 0)
    assert done.sent + done.saved == done.size
    assert sum("from=base" in one for one in posts) == 1
    assert len(posts) == len(made.blobs), "one upload, or one mount, for each blob"
    assert open_uploads(running, "team/churn") == []
    assert running.tags("team/churn") == ["7"]


def test_a_mount_that_is_refused_is_sent(running: Registry, blobs: Blobs) -> None:
    made = small_image(blobs, {"a": b"1"})
    pushed(running.host, made, blobs, "base:1")
    with front(running.port, unmountable=403) as before:
        done = mounted_from(made, blobs, before)
    assert (done.sent, done.saved) == (done.size, 0)


def test_a_failure_is_not_told_late_where_the_registry_asks_for_a_minute(
    running: Registry, blobs: Blobs
) -> None:
    """Another blob waits for its turn meanwhile: it waits no more."""
    made = small_image(blobs, {"a": b"1"})
    busy, began = {"HEAD": 1}, time.monotonic()
    with (
        front(running.port, busy=busy, retry_after="60", refused={"POST": 403}) as before,
        pytest.raises(ImageError, match="403"),
    ):
        pushed(before.host, made, blobs)
    assert time.monotonic() - began < 30


def test_bases_that_lie_elsewhere_change_nothing(running: Registry, blobs: Blobs) -> None:
    made = small_image(blobs, {"a": b"1"})
    bases = ["oci:folder", "python:3.11-slim", "No name", f"docker://{running.host}/none:1"]
    done = push(parse(f"{running.host}/team/churn:7"), made.manifest, [made], blobs, bases=bases)
    assert (done.sent, running.tags("team/churn")) == (done.size, ["7"])


def test_progress_is_told_and_ends_with_all_of_it(running: Registry, blobs: Blobs) -> None:
    made = small_image(blobs, {"a": random_bytes(3_000_000)})
    told: list[Progress] = []
    reference = parse(f"{running.host}/churn:7")
    done = push(reference, made.manifest, [made], blobs, told=told.append)
    assert told[-1] == done
    assert len(told) >= 4
    assert [one.sent for one in told] == sorted(one.sent for one in told)


def test_nothing_is_named_where_an_upload_fails(running: Registry, blobs: Blobs) -> None:
    made = small_image(blobs, {"a": random_bytes(10_000)})
    with (
        front(running.port, refused={"PATCH": 507}) as before,
        pytest.raises(ImageError, match=r"the registry refuses: 507"),
    ):
        pushed(before.host, made, blobs)
    assert not any(one.startswith("PUT") for one in before.requests)
    assert running.tags("team/churn") == []


def test_what_waits_is_not_sent_after_a_failure(running: Registry, blobs: Blobs) -> None:
    """A push of many gigabytes does not go on for minutes before it says what is wrong."""
    made = small_image(blobs, {"a": b"1"})
    for number in range(20):
        made = small_image(blobs, {"a": random_bytes(1000 + number)}, base=made)
    with front(running.port, refused={"POST": 403}) as before:
        with pytest.raises(ImageError, match="403"):
            pushed(before.host, made, blobs)
        assert sum(one.startswith("POST") for one in before.requests) < 15


def test_a_layer_that_is_gone_from_the_cache_names_nothing(running: Registry, blobs: Blobs) -> None:
    made = small_image(blobs, {"a": b"1"})
    blobs.path(made.layers[0].blob.digest).unlink()
    with pytest.raises(FileNotFoundError):
        pushed(running.host, made, blobs)
    assert running.tags("team/churn") == []


def test_a_layer_that_was_changed_in_the_cache_is_refused(running: Registry, blobs: Blobs) -> None:
    made = small_image(blobs, {"a": b"1"})
    spoil(blobs.path(made.layers[0].blob.digest))
    with pytest.raises(ImageError, match=r"the registry refuses: 400, .*digest"):
        pushed(running.host, made, blobs)
    assert running.tags("team/churn") == []


def test_four_at_once_log_in_by_password(need: Need, blobs: Blobs, tmp_path: Path) -> None:
    made = small_image(blobs, {"a": b"1"})
    for number in range(8):
        made = small_image(blobs, {"a": random_bytes(1000 + number)}, base=made)
    with registry(need.program("docker-registry"), tmp_path / "closed", login=True) as closed:
        with pytest.raises(ImageError) as caught:
            pushed(closed.host, made, blobs)
        assert caught.value.tip == f"Log in first: docker login {closed.host}"
        keep_login(tmp_path / "docker", closed.host)
        done = pushed(closed.host, made, blobs)
        assert (done.sent, closed.tags("team/churn")) == (done.size, ["7"])
        keep_login(tmp_path / "docker", closed.host, password=f"not {PASSWORD}")
        with pytest.raises(ImageError) as caught:
            pushed(closed.host, made, blobs)
    assert PASSWORD not in caught.value.paragraph()
