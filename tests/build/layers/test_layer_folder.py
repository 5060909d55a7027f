"""What builds keep: who uses it, and what is left where something is removed."""

import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.images import MakeProject, built

from boxship.build.base import base_python
from boxship.build.layers.layer_cache import LayerCache, Packed
from boxship.build.layers.layer_folder import KeptBlob, LayerFolder
from boxship.build.outputs import Outputs
from boxship.cli import main
from boxship.oci import layout
from boxship.oci.layer import Entry, Layer, pack


@pytest.fixture
def own(tmp_path: Path) -> LayerCache:
    """A cache that no other test looks into."""
    return LayerCache(tmp_path / "images")


def kept(cache: LayerCache, name: str) -> Layer:
    layer = pack([Entry(name, name.encode())], cache.blobs)
    cache.keep(Packed(layer), name)
    return layer


def names(cache: LayerCache) -> list[str]:
    """Every file, as it lies in the cache."""
    found = (one for one in cache.folder.rglob("*") if one.is_file())
    return sorted(str(one.relative_to(cache.folder)) for one in found)


def emptied(cache: LayerCache) -> int:
    """Remove every blob and the rest; what had not become whole."""
    with cache.alone() as alone:
        assert alone
        for one in cache.entries():
            cache.remove(one)
        return cache.clear()


def unused_since(cache: LayerCache, layer: Layer, then: float) -> KeptBlob:
    os.utime(cache.blobs.path(layer.blob.digest), (then, then))
    (found,) = (one for one in cache.entries() if one.path.name in layer.blob.digest)
    assert found.used == then
    return found


def test_what_is_used_is_known_to_be(own: LayerCache) -> None:
    layer = kept(own, "a")
    began = time.time() - 1
    unused_since(own, layer, 1000)
    assert own.blobs.has(layer.blob)
    assert own.entries()[0].used >= began
    unused_since(own, layer, 1000)
    assert own.find("a") == Packed(layer)
    assert own.entries()[0].used >= began


def test_a_cache_that_is_only_read_is_used(
    own: LayerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = kept(own, "a")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    # Root may write everywhere, or so the system says.
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with own.hold():
        assert own.blobs.has(layer.blob)


def test_a_layer_goes_with_all_that_speaks_of_it(own: LayerCache) -> None:
    gone, stays = kept(own, "gone"), kept(own, "stays")
    for layers in ([gone], [stays], [gone, stays]):
        own.once(lambda: None, *(one.blob.digest for one in layers), of="")
    for layer in (gone, stays):
        root = own.roots / layer.blob.digest.removeprefix("sha256:") / "bin"
        root.mkdir(parents=True)
        (root / "python").write_bytes(b"x" * 1000)
    found = unused_since(own, gone, 1000)
    assert found.size == found.frees == gone.blob.size + 1000
    with own.alone():
        own.remove(found)
        assert own.clear() == 0
    name = stays.blob.digest.removeprefix("sha256:")
    assert [one for one in names(own) if not one.startswith(("done/", "layers/"))] == [
        f"blobs/sha256/{name}",
        "lock",
        f"roots/{name}/bin/python",
    ]
    assert (own.find("gone"), own.find("stays")) == (None, Packed(stays))
    assert [len(list(one.iterdir())) for one in (own.marks, own.notes)] == [1, 1]
    own.once(pytest.fail, stays.blob.digest, of="")


def test_what_killed_builds_have_left_goes(own: LayerCache) -> None:
    layer = kept(own, "a")
    own.note_push("registry.test/churn:7")
    before = names(own)
    for name in (
        "work/tmp1/site/a.py",
        "blobs/.incoming-1",
        "roots/.unpacking-1/bin/python",
        f"roots/{'0' * 64}/bin/python",
        "layers/.a.json1",
        "layers/a.json",
        ".pushed1",
    ):
        file = own.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 10)
    (own.folder / "work/tmp1/link").symlink_to("nowhere")
    with own.alone():
        assert own.clear() == 60
    assert [*names(own)] == sorted([*before, "lock"])
    assert [*own.work.iterdir(), *own.roots.iterdir()] == []
    assert own.find("a") == Packed(layer)


def test_a_layer_in_a_layout_frees_nothing(own: LayerCache, make_project: MakeProject) -> None:
    kept(own, "a")
    (before,) = own.entries()
    assert before.frees == before.size
    (own.folder.parent / "link").hardlink_to(before.path)
    (after,) = own.entries()
    assert (after.frees, after.size) == (0, before.size)


def test_nobody_removes_what_a_build_holds(own: LayerCache) -> None:
    kept(own, "a")
    with own.hold(), own.hold(), LayerFolder(own.folder).alone() as alone:
        assert not alone
    with LayerFolder(own.folder).alone() as alone:
        assert alone


def test_a_build_waits_for_who_removes(own: LayerCache) -> None:
    kept(own, "a")
    began = threading.Event()

    def build() -> None:
        with own.hold():
            began.set()

    with own.alone():
        builds = threading.Thread(target=build)
        builds.start()
        assert not began.wait(0.3)
    assert began.wait(30)
    builds.join()


def test_where_nothing_was_built_nothing_is_made(tmp_path: Path) -> None:
    folder = LayerFolder(tmp_path / "images")
    with folder.alone() as alone:
        assert not alone
    assert folder.entries() == []
    assert not folder.folder.exists()


def test_lock_and_build_keep_what_they_need(
    make_project: MakeProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Somebody prunes when all is there and nothing of it was used yet."""
    monkeypatch.setenv("BOXSHIP_CACHE", str(tmp_path / "cache"))
    said: list[str] = []

    def between(real: Callable[..., object]) -> Callable[..., object]:
        def act(*given: Any, **named: Any) -> object:
            capsys.readouterr()
            assert main.main(["cache", "prune"]) == 0
            said.extend(capsys.readouterr().out.splitlines())
            return real(*given, **named)

        return act

    monkeypatch.setattr(base_python, "find", between(base_python.find))
    monkeypatch.setattr(Outputs, "write", between(Outputs.write))
    folder = str(make_project('model = "churn.onnx"').folder)
    assert main.main(["lock", folder]) == 0
    assert main.main(["build", folder, "-o", f"oci:{tmp_path}/churn.oci"]) == 0
    assert layout.verify(tmp_path / "churn.oci") > 0
    assert [one.rpartition("  ")[2] for one in said] == [
        "a running build uses them",
        "0 bytes freed",
    ] * 2
    capsys.readouterr()
    assert main.main(["cache", "prune"]) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(
        r"removed image layers  \S+ MB in \d+ files; \S+ MB of it stay in image layouts\n"
        r"\S+ MB freed\n",
        out,
    )


def test_what_was_removed_is_made_again_bit_for_bit(
    own: LayerCache, make_project: MakeProject, tmp_path: Path
) -> None:
    found = make_project('model = "churn.onnx"')
    image = built(found, own)
    layout.write(tmp_path / "churn.oci", image.manifest, [image], own.blobs)
    size = sum(one.size for one in own.entries())
    assert size > image.size, "the unpacked Python counts"
    assert emptied(own) == 0
    assert names(own) == ["lock"]
    assert layout.verify(tmp_path / "churn.oci") > image.size
    assert built(found, own) == image
