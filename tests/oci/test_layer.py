"""Layers: the same files are the same bytes, and what is packed comes out again."""

import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from boxship.oci.blobs import Blobs
from boxship.oci.compression import Compression
from boxship.oci.contents import unpack, walk
from boxship.oci.layer import Entry, pack

BIG = bytes(range(256)) * 40_000


def entries(folder: Path) -> list[Entry]:
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "data").write_bytes(BIG)
    return [
        Entry("opt/a/run", folder / "run", executable=True),
        Entry("opt/a/data", folder / "data"),
        Entry("etc/words", "grüße".encode()),
        Entry("var/empty", None),
    ]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_is_packed_comes_out(tmp_path: Path, compression: Compression) -> None:
    blobs = Blobs(tmp_path / "blobs")
    layer = pack(entries(tmp_path), blobs, compression)
    assert blobs.has(layer.blob)
    assert layer.blob.media_type.endswith(compression)
    unpack(layer.blob, blobs, tmp_path / "out")
    assert (tmp_path / "out/opt/a/data").read_bytes() == BIG
    assert (tmp_path / "out/etc/words").read_text() == "grüße"
    assert (tmp_path / "out/var/empty").is_dir()
    assert os.access(tmp_path / "out/opt/a/run", os.X_OK)


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    """Whatever their order, times, owners and modes, and the mask of the process."""
    first = pack(entries(tmp_path), Blobs(tmp_path / "one"))
    for file in (tmp_path / "run", tmp_path / "data"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    mask = os.umask(0o077)
    try:
        second = pack(reversed(entries(tmp_path)), Blobs(tmp_path / "two"))
    finally:
        os.umask(mask)
    assert first == second


def test_everything_belongs_to_root_and_can_be_read_by_all(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    layer = pack(entries(tmp_path), blobs)
    seen: dict[str, tarfile.TarInfo] = {}
    walk(layer.blob, blobs, lambda entry, _: seen.update({entry.name: entry}))
    assert list(seen) == sorted(seen)
    assert {"etc", "opt", "opt/a", "var"} <= seen.keys()
    assert {(one.uid, one.gid, one.mtime) for one in seen.values()} == {(0, 0, 0)}
    assert {one.mode for one in seen.values()} == {0o755, 0o644}


@given(
    st.dictionaries(st.text("ab/é ", min_size=1, max_size=20), st.binary(max_size=50), max_size=8)
)
@settings(max_examples=50, deadline=None)
def test_any_files_come_out_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("layer")
    named = {
        "/".join(part for part in path.split("/") if part.strip()): data
        for path, data in files.items()
    }
    names = {name for name in named if name}
    kept = {n: named[n] for n in names if not any(o.startswith(f"{n}/") for o in names)}
    blobs = Blobs(folder / "blobs")
    layer = pack([Entry(name, data) for name, data in kept.items()], blobs)
    unpack(layer.blob, blobs, folder / "out")
    found = {
        str(file.relative_to(folder / "out")): file.read_bytes()
        for file in (folder / "out").rglob("*")
        if file.is_file()
    }
    assert found == kept
