"""Docker's archives: what is in them, and that a file is replaced whole or not at all."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Need
from support.disks import full_after
from support.registry import random_bytes, small_image

from boxship.errors import ImageError
from boxship.oci import archive
from boxship.oci.blobs import Blobs
from boxship.oci.image import Added, Image, Settings, put_together

NAME = "registry.example:5000/team/churn:7"


@pytest.fixture
def made(blobs: Blobs) -> Image:
    """An image of two layers."""
    return small_image(blobs, {"b": random_bytes(10_000)}, base=small_image(blobs, {"a": b"1"}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out" / "churn.tar"


def contents(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]


def test_an_archive_has_the_manifest_the_config_and_the_layers(
    made: Image, blobs: Blobs, file: Path
) -> None:
    archive.write(file, made, blobs, NAME)
    found = contents(file)
    (manifest,) = json.loads(found.pop("manifest.json"))
    assert manifest["RepoTags"] == [NAME]
    config = found.pop(manifest["Config"])
    assert config == blobs.read(made.config_blob)
    assert [found[path] for path in manifest["Layers"]] == [
        blobs.read(layer.blob) for layer in made.layers
    ]
    assert sorted(found) == sorted(manifest["Layers"]), "nothing else is there"
    assert [
        f"sha256:{hashlib.sha256(gzip.decompress(found[path])).hexdigest()}"
        for path in manifest["Layers"]
    ] == json.loads(config)["rootfs"]["diff_ids"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_an_image_may_have_no_name(made: Image, blobs: Blobs, file: Path) -> None:
    archive.write(file, made, blobs, "")
    assert json.loads(contents(file)["manifest.json"])[0]["RepoTags"] == []


def test_a_layer_that_is_there_twice_is_written_once(made: Image, blobs: Blobs, file: Path) -> None:
    twice = put_together(made, [Added(made.layers[0], "again")], Settings(), "", blobs)
    archive.write(file, twice, blobs, NAME)
    found = contents(file)
    (manifest,) = json.loads(found["manifest.json"])
    assert manifest["Layers"][0] == manifest["Layers"][2]
    assert len(found) == 4


def test_the_same_image_is_the_same_archive(made: Image, blobs: Blobs, tmp_path: Path) -> None:
    """Whether into a file or into something that can only be written to."""

    class Pipe(io.RawIOBase):
        written = b""

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.written += data
            return len(data)

    pipe = Pipe()
    archive.write(tmp_path / "one.tar", made, blobs, NAME)
    archive.write(tmp_path / "two.tar", made, blobs, NAME)
    archive.stream(pipe, made, blobs, NAME)  # type: ignore[arg-type]
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert pipe.written == (tmp_path / "one.tar").read_bytes()


def test_an_old_archive_is_replaced(made: Image, blobs: Blobs, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"old")
    archive.write(file, made, blobs, NAME)
    assert len(contents(file)) == 4
    assert list(file.parent.iterdir()) == [file]


def test_where_a_link_leads_is_replaced(made: Image, blobs: Blobs, file: Path) -> None:
    file.parent.mkdir()
    link = file.with_name("link.tar")
    link.symlink_to(file)
    archive.write(link, made, blobs, NAME)
    assert link.is_symlink()
    assert len(contents(file)) == 4


def test_a_full_disk_changes_nothing(made: Image, blobs: Blobs, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"old")
    with full_after(5000), pytest.raises(OSError, match="too large"):
        archive.write(file, made, blobs, NAME)
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == b"old"


def test_a_layer_that_is_gone_changes_nothing(made: Image, blobs: Blobs, file: Path) -> None:
    blobs.path(made.layers[1].blob.digest).unlink()
    with pytest.raises(FileNotFoundError):
        archive.write(file, made, blobs, NAME)
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_what_is_no_file_is_left(
    made: Image, blobs: Blobs, file: Path, make: Callable[[Path], None]
) -> None:
    """A device neither: root could replace /dev/null."""
    file.parent.mkdir()
    make(file)
    kind = file.stat().st_mode
    with pytest.raises(ImageError, match="expected a file or nothing there, found something else"):
        archive.write(file, made, blobs, NAME)
    assert file.stat().st_mode == kind
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.optional_part("the word of another program on it")
def test_skopeo_reads_it(need: Need, made: Image, blobs: Blobs, file: Path) -> None:
    archive.write(file, made, blobs, NAME)
    program = need.program("skopeo")
    layout = file.with_name("layout")
    copied = subprocess.run(
        [program, "copy", "--insecure-policy", f"docker-archive:{file}:{NAME}", f"oci:{layout}:7"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert copied.returncode == 0, copied.stderr
    shown = subprocess.run(
        [program, "inspect", "--config", f"oci:{layout}:7"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(shown.stdout)["rootfs"] == made.config["rootfs"]
