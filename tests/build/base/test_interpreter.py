"""The base image's own Python, unpacked: only whole, and by the rules of its layers."""

from pathlib import Path

import pytest
from support.registry import small_image, spoil

from boxship.build.base.interpreter import of_base
from boxship.errors import BuildError, ImageError
from boxship.lock import LockedBase
from boxship.oci.blobs import Blobs
from boxship.oci.image import Image

LOADER = "lib64/ld-linux-x86-64.so.2"
PYTHON = "usr/local/bin/python3.11"
BASE = LockedBase("base", "3.11", f"/{PYTHON}", "2.36", "/usr/local/lib/python3.11/site-packages")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def test_what_is_broken_leaves_nothing_behind(blobs: Blobs, tmp_path: Path) -> None:
    image = small_image(blobs, {"a": b""}, base=small_image(blobs, {PYTHON: b"", LOADER: b""}))
    spoil(blobs.path(image.layers[1].blob.digest))
    with pytest.raises(ImageError):
        of_base(BASE, image, blobs, tmp_path / "roots")
    assert list((tmp_path / "roots").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(blobs: Blobs, tmp_path: Path) -> None:
    image = small_image(blobs, {PYTHON: b"", LOADER: b""})
    (tmp_path / "roots").write_text("a file")
    with pytest.raises(BuildError, match=f"unpack its Python into {tmp_path}/roots, found: "):
        of_base(BASE, image, blobs, tmp_path / "roots")


def unpacked(image: Image, blobs: Blobs, tmp_path: Path) -> set[str]:
    """The files that are there."""
    found = Path(of_base(BASE, image, blobs, tmp_path / "roots").environ["PYTHONHOME"]).parents[1]
    return {str(one.relative_to(found)) for one in found.rglob("*") if not one.is_dir()}


def image_of(blobs: Blobs, *layers: dict[str, bytes]) -> Image:
    image = small_image(blobs, layers[0])
    for files in layers[1:]:
        image = small_image(blobs, files, base=image)
    return image


LIB = "usr/local/lib"


@pytest.mark.parametrize(
    ("above", "left"),
    [
        ({f"{LIB}/.wh.a": b""}, {"b/c", "b/d"}),
        ({f"{LIB}/.wh.b": b""}, {"a"}),
        ({f"{LIB}/b/.wh..wh..opq": b""}, {"a"}),
        # It hides what is below, not what its own layer has, before it or after it.
        ({f"{LIB}/.wh..wh..opq": b"", f"{LIB}/-": b"", f"{LIB}/b/e": b""}, {"-", "b/e"}),
        ({f"{LIB}/.wh.b": b"", f"{LIB}/b/e": b""}, {"a", "b/e"}),
        ({"usr/local/.wh.lib": b""}, set()),
        ({f"{LIB}/b": b""}, {"a", "b"}),
        ({f"{LIB}/a/b": b""}, {"a/b", "b/c", "b/d"}),
        (
            {f"{LIB}/.wh..wh.plnk": b"", f"{LIB}/.wh..": b"", f"{LIB}/.wh...": b""},
            {"a", "b/c", "b/d"},
        ),
    ],
)
def test_what_a_later_layer_removes_is_not_there(
    blobs: Blobs, tmp_path: Path, above: dict[str, bytes], left: set[str]
) -> None:
    below = {PYTHON: b"", LOADER: b"", f"{LIB}/a": b"", f"{LIB}/b/c": b"", f"{LIB}/b/d": b""}
    found = unpacked(image_of(blobs, below, above), blobs, tmp_path)
    assert found == {PYTHON, LOADER} | {f"{LIB}/{one}" for one in left}


def test_only_folders_that_python_needs_are_taken(blobs: Blobs, tmp_path: Path) -> None:
    files = {PYTHON: b"", LOADER: b"", "lib/a": b"", "libexec/b": b"", "usr/libexec/c": b""}
    assert unpacked(image_of(blobs, files), blobs, tmp_path) == {PYTHON, LOADER, "lib/a"}


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({LOADER: b""}, f"found no /{PYTHON}."),
        ({PYTHON: b""}, "found no /lib64/ld-linux-x86-64.so.2 or /lib/ld-linux-aarch64.so.1."),
        ({"lib/a": b""}, f"found no /{PYTHON} and no /lib64/"),
    ],
)
def test_what_is_missing_is_named(
    blobs: Blobs, tmp_path: Path, files: dict[str, bytes], missing: str
) -> None:
    with pytest.raises(BuildError) as caught:
        of_base(BASE, image_of(blobs, files), blobs, tmp_path / "roots")
    assert missing in caught.value.message
    assert "--builder docker" in caught.value.tip
