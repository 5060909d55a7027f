"""Images by the names that people give them: layouts in folders, and registries."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Need
from support.registry import AMD64, ARM64, Registry, front, random_bytes, registry, small_image

from boxship.errors import DigestError, ImageError
from boxship.oci import image, layout
from boxship.oci.blobs import Blobs
from boxship.oci.descriptor import CONFIG, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor, canonical
from boxship.oci.image import Added, Image, Settings, put_together
from boxship.oci.platform import Platform
from boxship.oci.push import push
from boxship.oci.reference import parse
from boxship.oci.source import Source


@pytest.fixture
def made(blobs: Blobs) -> Image:
    """An image of two layers."""
    return small_image(blobs, {"b": random_bytes(1000)}, base=small_image(blobs, {"a": b"1"}))


@pytest.fixture
def folder(made: Image, blobs: Blobs, tmp_path: Path) -> Path:
    """A layout of it, on a disk of its own: nothing is linked."""
    layout.write(tmp_path / "base", made.manifest, [made], blobs, name="churn:7")
    for file in (tmp_path / "base" / "blobs").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            file.unlink()
            file.write_bytes(data)
    return tmp_path / "base"


def only(name: str, cache: Blobs) -> Image:
    with Source(name, cache) as source:
        (manifest,) = source.platforms().values()
        return source.image(manifest)


@pytest.mark.parametrize("name", ["", ":churn:7"])
def test_a_layout_is_read(folder: Path, made: Image, cache: Blobs, name: str) -> None:
    """By the name that it was written with, or by none."""
    found = only(f"oci:{folder}{name}", cache)
    assert (found.config, found.layers, found.platform) == (made.config, made.layers, AMD64)
    assert found.manifest.digest == made.manifest.digest
    assert all(cache.has(blob) for blob in (*made.blobs, made.manifest))


def test_a_layout_may_be_named_from_here(
    folder: Path, made: Image, cache: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert only("oci:base:churn:7", cache).layers == made.layers


def test_a_folder_may_have_a_colon_in_its_name(folder: Path, made: Image, cache: Blobs) -> None:
    named = folder.rename(folder.with_name("base:1"))
    assert only(f"oci:{named}", cache).layers == made.layers


def test_a_name_that_the_layout_does_not_have(folder: Path, cache: Blobs) -> None:
    with pytest.raises(ImageError, match="expected one image named '8', found 0 of: churn:7"):
        only(f"oci:{folder}:8", cache)


def of_two(blobs: Blobs) -> tuple[Descriptor, list[Image]]:
    """An index of two platforms, with an entry that is no image, as BuildKit makes them."""
    images = [small_image(blobs, {"a": str(one).encode()}, platform=one) for one in (AMD64, ARM64)]
    value = json.loads(blobs.read(image.index(images, blobs)))
    other = blobs.add(b"{}", MANIFEST).as_json()
    unknown = {"os": "unknown", "architecture": "unknown"}
    value["manifests"] += [{**other, "platform": unknown}, other]
    return blobs.add(canonical(value), INDEX), images


def test_an_index_has_platforms(blobs: Blobs, cache: Blobs, tmp_path: Path) -> None:
    top, images = of_two(blobs)
    layout.write(tmp_path / "base", top, images, blobs)
    with Source(f"oci:{tmp_path / 'base'}", cache) as source:
        found = source.platforms()
        assert found == {AMD64: images[0].manifest, ARM64: images[1].manifest}
        assert source.image(found[ARM64]) == images[1]
    assert not cache.has(images[0].layers[0].blob), "the other platform's layers stay there"


def test_an_image_alone_is_for_what_its_config_says(
    blobs: Blobs, cache: Blobs, tmp_path: Path
) -> None:
    made = small_image(blobs, {"a": b"1"}, platform=Platform("linux", "arm", "v7"))
    layout.write(tmp_path / "base", made.manifest, [made], blobs)
    assert only(f"oci:{tmp_path / 'base'}", cache).platform == Platform("linux", "arm", "v7")


@pytest.mark.parametrize("prefix", ["", "docker://"])
def test_a_registry_is_read(
    running: Registry, made: Image, blobs: Blobs, cache: Blobs, prefix: str
) -> None:
    push(parse(f"{running.host}/base:1"), made.manifest, [made], blobs)
    for version in (":1", f"@{made.manifest.digest}", f":1@{made.manifest.digest}"):
        assert only(f"{prefix}{running.host}/base{version}", cache).layers == made.layers


def test_what_is_in_the_cache_is_not_asked_for(
    need: Need, made: Image, blobs: Blobs, cache: Blobs, tmp_path: Path
) -> None:
    """Though the registry is gone."""
    with registry(need.program("docker-registry"), tmp_path / "registry") as running:
        name = f"{running.host}/base:1"
        push(parse(name), made.manifest, [made], blobs)
        with Source(name, cache) as source:
            first = source.pinned(made.manifest.digest)
    with Source(name, cache) as source:
        assert source.pinned(made.manifest.digest) == first
    assert first.layers == made.layers


def test_a_layer_that_is_there_twice_comes_once(
    running: Registry, made: Image, blobs: Blobs, cache: Blobs
) -> None:
    twice = put_together(made, [Added(made.layers[0], "again")], Settings(), "", blobs)
    push(parse(f"{running.host}/base:1"), twice.manifest, [twice], blobs)
    told: list[int] = []
    with Source(f"{running.host}/base:1", cache) as source:
        (manifest,) = source.platforms().values()
        found = source.image(manifest, told.append)
    assert found.layers == twice.layers
    assert sum(told) == sum(layer.blob.size for layer in made.layers)


def test_a_pinned_manifest_is_fetched_once_and_keeps_its_type(
    running: Registry, made: Image, blobs: Blobs, cache: Blobs
) -> None:
    """Docker's says what it is."""
    value = {**json.loads(blobs.read(made.manifest)), "mediaType": DOCKER_MANIFEST}
    docker = replace(made, manifest=blobs.add(canonical(value), DOCKER_MANIFEST))
    push(parse(f"{running.host}/base:1"), docker.manifest, [docker], blobs)
    with front(running.port) as before, Source(f"{before.host}/base:1", cache) as source:
        assert source.pinned(docker.manifest.digest).manifest == docker.manifest
        assert source.pinned(docker.manifest.digest).manifest == docker.manifest
    assert len([one for one in before.requests if "/manifests/" in one]) == 1


def test_an_image_alone_is_fetched_once(
    running: Registry, made: Image, blobs: Blobs, cache: Blobs
) -> None:
    push(parse(f"{running.host}/base:1"), made.manifest, [made], blobs)
    with front(running.port) as before:
        assert only(f"{before.host}/base:1", cache).layers == made.layers
    assert len([one for one in before.requests if "/manifests/" in one]) == 1


def test_a_pinned_image_of_a_layout(folder: Path, made: Image, cache: Blobs) -> None:
    with Source(f"oci:{folder}", cache) as source:
        assert source.pinned(made.manifest.digest).layers == made.layers
        with pytest.raises(ImageError, match=f"expected the blob sha256:{'0' * 64}, found none"):
            source.pinned(f"sha256:{'0' * 64}")


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_a_layout_that_lacks_a_blob(folder: Path, made: Image, cache: Blobs, part: str) -> None:
    blob = {"manifest": made.manifest, "config": made.config_blob, "layer": made.layers[1].blob}
    layout.Layout(folder).blobs.path(blob[part].digest).unlink()
    with pytest.raises(ImageError) as caught:
        only(f"oci:{folder}", cache)
    expected = f"oci:{folder}: expected the blob {blob[part].digest}, found none."
    assert caught.value.message == expected


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_a_layout_with_other_bytes(folder: Path, made: Image, cache: Blobs, part: str) -> None:
    blob = {"manifest": made.manifest, "config": made.config_blob, "layer": made.layers[1].blob}
    file = layout.Layout(folder).blobs.path(blob[part].digest)
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(ImageError, match=r"a blob is broken: .*expected the digest") as caught:
        only(f"oci:{folder}", cache)
    assert blob[part].digest in caught.value.message
    assert not cache.has(blob[part])


def test_a_registry_with_other_bytes(
    running: Registry, made: Image, blobs: Blobs, cache: Blobs
) -> None:
    push(parse(f"{running.host}/base:1"), made.manifest, [made], blobs)
    file = running.stored(made.layers[1].blob.digest)
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(DigestError, match=f"/base:1: .*{made.layers[1].blob.digest}"):
        only(f"{running.host}/base:1", cache)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda manifest, _: manifest.pop("config"), "expected a descriptor, found None"),
        (lambda manifest, _: manifest.update(layers=7), "expected JSON that describes an image"),
        (lambda manifest, _: manifest.update(layers=[7]), "expected a descriptor, found 7"),
        (lambda _, config: config.update(rootfs=[]), "expected 2 diff_ids, found 0"),
        (lambda _, config: config["rootfs"].update(diff_ids=7), "expected JSON that describes"),
        (lambda _, config: config["rootfs"]["diff_ids"].pop(), "expected 2 diff_ids, found 1"),
    ],
)
def test_an_image_that_is_none(
    made: Image, blobs: Blobs, tmp_path: Path, spoil: Callable[..., Any], message: str
) -> None:
    config = json.loads(blobs.read(made.config_blob))
    manifest = json.loads(blobs.read(made.manifest))
    spoil(manifest, config)
    config_blob = blobs.add(canonical(config), CONFIG)
    if "config" in manifest:
        manifest["config"] = config_blob.as_json()
    top = blobs.add(canonical(manifest), MANIFEST)
    layout.write(
        tmp_path / "base", top, [Image(top, config_blob, made.layers, config, AMD64)], blobs
    )
    with pytest.raises(ImageError, match=message):
        only(f"oci:{tmp_path / 'base'}", Blobs(tmp_path / "cache"))


@pytest.mark.parametrize("data", [b"no JSON", b"[]", b'{"manifests": 7}'])
def test_an_index_that_is_none(blobs: Blobs, cache: Blobs, tmp_path: Path, data: bytes) -> None:
    layout.write(tmp_path / "base", blobs.add(data, INDEX), [], blobs)
    with (
        Source(f"oci:{tmp_path / 'base'}", cache) as source,
        pytest.raises(ImageError, match="expected JSON that describes an image"),
    ):
        source.platforms()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oci:/nowhere", "/nowhere: expected an OCI image layout, found none"),
        ("No Image", "No Image: expected a name such as"),
        ("docker://a@sha256:1", "docker://a@sha256:1: expected @sha256: and 64 hex digits"),
    ],
)
def test_a_name_of_nothing(cache: Blobs, name: str, message: str) -> None:
    with pytest.raises(ImageError, match=message), Source(name, cache) as source:
        source.platforms()


def test_something_that_is_no_image(blobs: Blobs, cache: Blobs, tmp_path: Path) -> None:
    layout.write(tmp_path / "base", blobs.add(b"{}", "text/plain"), [], blobs)
    with pytest.raises(ImageError, match="expected an image, found text/plain"):
        only(f"oci:{tmp_path / 'base'}", cache)
