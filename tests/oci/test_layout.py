"""Layouts: an image in a folder, which is replaced whole or not at all."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.disks import full_after
from support.registry import AMD64, ARM64, small_image

from boxship.errors import ImageError
from boxship.oci import image, layout
from boxship.oci.blobs import Blobs
from boxship.oci.image import Image
from boxship.oci.layout import Layout


@pytest.fixture
def made(blobs: Blobs) -> Image:
    return small_image(blobs, {"a": b"1"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "churn.oci"


def seen(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_layout_has_what_the_specification_asks_for(
    made: Image, blobs: Blobs, folder: Path
) -> None:
    layout.write(folder, made.manifest, [made], blobs, name="churn:7")
    found = seen(folder)
    assert json.loads(found.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(found.pop("index.json")) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": made.manifest.digest,
                "size": made.manifest.size,
                "platform": {"os": "linux", "architecture": "amd64"},
                "annotations": {"org.opencontainers.image.ref.name": "churn:7"},
            }
        ],
    }
    assert found == {
        f"blobs/sha256/{blob.digest.removeprefix('sha256:')}": blobs.read(blob)
        for blob in (*made.blobs, made.manifest)
    }
    assert [one.name for one in folder.parent.iterdir()] == [folder.name]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_two_platforms_are_behind_one_name(blobs: Blobs, folder: Path) -> None:
    images = [small_image(blobs, {"a": b"1"}, platform=one) for one in (AMD64, ARM64)]
    top = image.index(images, blobs)
    layout.write(folder, top, images, blobs, name="churn:7")
    found = Layout(folder)
    assert found.top().digest == found.top("churn:7").digest == top.digest
    wanted = [*(one.manifest for one in images), *images[0].blobs, *images[1].blobs, top]
    assert all(found.blobs.has(blob) for blob in wanted)


def test_the_same_image_is_the_same_layout(made: Image, blobs: Blobs, tmp_path: Path) -> None:
    for name in ("one", "two"):
        layout.write(tmp_path / name, made.manifest, [made], blobs)
    assert seen(tmp_path / "one") == seen(tmp_path / "two")


def test_nobody_changes_the_cache_by_an_edit(made: Image, blobs: Blobs, folder: Path) -> None:
    """A blob of a layout is the same file as that of the cache."""
    layout.write(folder, made.manifest, [made], blobs)
    for blob in (*made.blobs, made.manifest):
        file = Layout(folder).blobs.path(blob.digest)
        assert file.samefile(blobs.path(blob.digest))
        assert file.stat().st_mode & 0o222 == 0


def test_an_old_layout_is_replaced(made: Image, blobs: Blobs, folder: Path) -> None:
    layout.write(folder, made.manifest, [made], blobs)
    other = small_image(blobs, {"b": b"2"})
    layout.write(folder, other.manifest, [other], blobs)
    found = Layout(folder)
    assert found.top().digest == other.manifest.digest
    assert not found.blobs.has(made.manifest)
    assert [one.name for one in folder.parent.iterdir()] == [folder.name]


def test_an_empty_folder_is_filled(made: Image, blobs: Blobs, folder: Path) -> None:
    folder.mkdir(parents=True)
    layout.write(folder, made.manifest, [made], blobs)
    assert Layout(folder).top().digest == made.manifest.digest


def test_where_a_link_leads_is_filled(made: Image, blobs: Blobs, folder: Path) -> None:
    folder.parent.mkdir()
    link = folder.with_name("link")
    link.symlink_to(folder)
    for _ in range(2):
        layout.write(link, made.manifest, [made], blobs)
        assert link.is_symlink()
        assert Layout(folder).top().digest == made.manifest.digest


def test_the_folder_one_is_in_is_filled(
    made: Image, blobs: Blobs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    layout.write(Path(), made.manifest, [made], blobs)
    assert Layout(folder).top().digest == made.manifest.digest


def with_notes(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")


def with_notes_in_a_layout(folder: Path) -> None:
    with_notes(folder)
    (folder / "oci-layout").write_text("{}")
    (folder / "blobs").mkdir()


def a_file(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("mine")


@pytest.mark.parametrize("spoil", [with_notes, with_notes_in_a_layout, a_file])
def test_what_is_no_layout_is_left(
    made: Image, blobs: Blobs, folder: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(folder)
    before = seen(folder.parent)
    with pytest.raises(ImageError, match="expected no file, an empty folder or an image layout"):
        layout.write(folder, made.manifest, [made], blobs)
    assert seen(folder.parent) == before


@pytest.mark.parametrize("there", [False, True], ids=["nothing", "a layout"])
def test_a_full_disk_changes_nothing(
    made: Image, blobs: Blobs, folder: Path, *, there: bool
) -> None:
    other = small_image(blobs, {"b": b"2"})
    folder.parent.mkdir()
    if there:
        layout.write(folder, other.manifest, [other], blobs)
    before = seen(folder.parent)
    with full_after(10), pytest.raises(OSError, match="too large"):
        layout.write(folder, made.manifest, [made], blobs)
    assert seen(folder.parent) == before
    assert len(list(folder.parent.iterdir())) == there


def test_a_blob_that_is_gone_changes_nothing(made: Image, blobs: Blobs, folder: Path) -> None:
    blobs.path(made.layers[0].blob.digest).unlink()
    with pytest.raises(FileNotFoundError):
        layout.write(folder, made.manifest, [made], blobs)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.optional_part("a container may not mount file systems")
def test_a_folder_that_cannot_be_moved_stays(made: Image, blobs: Blobs, folder: Path) -> None:
    """As of a volume that is mounted there."""
    layout.write(folder, made.manifest, [made], blobs)
    if subprocess.run(
        ["mount", "--bind", folder, folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount")
    try:
        before = seen(folder.parent)
        with pytest.raises(OSError, match="busy"):
            layout.write(folder, made.manifest, [made], blobs)
        assert seen(folder.parent) == before
        assert [one.name for one in folder.parent.iterdir()] == [folder.name]
    finally:
        subprocess.run(["umount", folder], check=True)


def test_an_image_is_found_by_its_name(blobs: Blobs, folder: Path) -> None:
    images = [small_image(blobs, {"a": name.encode()}) for name in ("one", "two")]
    layout.write(folder, images[0].manifest, images[:1], blobs, name="one")
    index = json.loads((folder / "index.json").read_text())
    second = {**images[1].manifest.as_json(), "annotations": {}}
    index["manifests"].append(second)
    (folder / "index.json").write_text(json.dumps(index))
    assert Layout(folder).top("one").digest == images[0].manifest.digest
    with pytest.raises(ImageError, match="expected one image, found 2 of: one, sha256:"):
        Layout(folder).top()
    with pytest.raises(ImageError, match="expected one image named 'two', found 0 of: one, "):
        Layout(folder).top("two")


@pytest.mark.parametrize(
    "index",
    [None, "", "[]", "{}", '{"manifests": 7}', '{"manifests": [7]}', '{"manifests": {"a": 1}}'],
)
def test_what_is_no_layout_is_not_read(folder: Path, index: str | None) -> None:
    folder.mkdir(parents=True)
    if index is not None:
        (folder / "index.json").write_text(index)
    with pytest.raises(ImageError, match=str(folder)):
        Layout(folder).top()


def test_a_layout_without_images(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "index.json").write_text('{"manifests": []}')
    with pytest.raises(ImageError, match="expected one image, found 0 of: none"):
        Layout(folder).top()
