"""What a wheel weighs in an image is asked of its server, which keeps the wheel."""

import hashlib
import logging
import struct
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from support.images import Index, MakeProject, locked, make_wheel, serving_index

from boxship.build.layers.layer_cache import LayerCache
from boxship.build.locking import lock_image
from boxship.build.resolving.wheel_sizes import Size, Sizes
from boxship.lock import LockedWheel

KEPT = {"acme/core.so": b"\x01" * 20_000_000}
LEFT_OUT = {
    "acme/tests/test_core.py": b"\x02" * 1_000_000,
    "acme-1.0.data/purelib/acme/tests/test_more.py": b"\x03" * 200_000,
    "acme/core.h": b"\x04" * 30_000,
}
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture(scope="module")
def wheel() -> tuple[str, bytes]:
    return make_wheel("acme", "1.0", {**KEPT, **LEFT_OUT})


def asked(index: Index, file: str, **options: int) -> Size:
    name, mark, password = index.login.partition(":")
    login = f"{name}:{quote(password, safe='')}@" if mark else ""
    with Sizes([index.url.replace("//", f"//{login}")]) as ask:
        return ask(index.address(file), DIGEST, **options)


@pytest.mark.parametrize("login", ["", "bob:pass word/1"])
def test_the_list_of_files_is_all_that_is_fetched(wheel: tuple[str, bytes], login: str) -> None:
    file, data = wheel
    with serving_index(Index(dict([wheel]), login=login, ranges=True)) as index:
        assert asked(index, file) == Size(len(data), 1_230_000)
    assert index.sent < 200_000


def test_a_long_list_takes_one_request_more() -> None:
    file, data = make_wheel("acme", "1.0", {
        **KEPT, **{f"acme/tests/{'a' * 50}{number}.py": b"12" for number in range(3000)},
    })  # fmt: skip
    with serving_index(Index({file: data}, ranges=True)) as index:
        assert asked(index, file, told=len(data)) == Size(len(data), 6000)
    assert len(index.requests) == 2
    assert index.sent < 1_000_000


def test_a_server_without_ranges_keeps_the_wheel_too(wheel: tuple[str, bytes]) -> None:
    file, data = wheel
    with serving_index(Index(dict([wheel]))) as index:
        assert asked(index, file) == Size(len(data))
        assert index.sent < len(data)


def lying(data: bytes) -> bytes:
    """The same wheel, whose list says that its tests are larger than all of it."""
    at = data.index(b"acme/tests/", data.index(b"PK\x01\x02")) - 46
    return data[: at + 20] + struct.pack("<I", 2**31) + data[at + 24 :]


@pytest.mark.parametrize("broken", [lambda data: bytes(len(data)), lambda data: data[:-9], lying])
def test_a_list_that_makes_no_sense_leaves_nothing_out(
    wheel: tuple[str, bytes], broken: object, caplog: pytest.LogCaptureFixture
) -> None:
    file, data = wheel
    data = broken(data)  # type: ignore[operator]
    with serving_index(Index({file: data}, ranges=True)) as index:
        assert asked(index, file) == Size(len(data))


def test_a_server_that_sends_more_than_a_list_is_left(wheel: tuple[str, bytes]) -> None:
    """Of a file that says it is all list, 16 MB at most are read."""
    file, data = wheel
    end = data[-22:]
    all_list = end[:12] + struct.pack("<II", len(data) - 22, 0) + end[20:]
    with serving_index(Index({file: data[:-22] + all_list}, ranges=True)) as index:
        assert asked(index, file) == Size(len(data))
    assert index.sent < 200_000


def test_who_cannot_be_asked(wheel: tuple[str, bytes], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "boxship.build")
    file, data = wheel
    with serving_index(Index({})) as index:
        assert asked(index, file) == Size(0)
        assert asked(index, file, told=len(data)) == Size(len(data))
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG"]


def test_a_wheel_that_is_here(wheel: tuple[str, bytes], tmp_path: Path) -> None:
    file, data = wheel
    (tmp_path / file).write_bytes(data)
    with Sizes([]) as ask:
        assert ask(tmp_path / file, DIGEST) == Size(len(data), 1_230_000)


def test_what_was_locked_is_not_asked_again(tmp_path: Path) -> None:
    before = LockedWheel("acme", "1.0", "acme.whl", DIGEST, 5_000_000, left_out=4)
    with Sizes([], [before]) as ask:
        assert ask(tmp_path / "nowhere", DIGEST) == Size(5_000_000, 4)


def test_it_is_written_down_when_the_project_is_locked(
    make_project: MakeProject, cache: LayerCache, wheel: tuple[str, bytes]
) -> None:
    data = wheel[1]
    light = make_wheel("acme-light", "1.0", {"acme_light/tests/test_it.py": "12"})
    with serving_index(Index(dict([wheel, light]), ranges=True)) as index:
        lines = f"--extra-index-url {index.url}\nacme\nacme-light\n"
        project = make_project('model = "churn.onnx"\n', requirements_txt=lines)
        first = locked(project, cache)
        assert first.requirements is not None
        (wheels,) = first.requirements.wheels.values()
        found = {one.name: (one.size, one.left_out) for one in wheels}
        assert found["acme"] == (len(data), 1_230_000)
        assert found["acme-light"] == (len(light[1]), 0)
        assert {one.digest for one in wheels} > {f"sha256:{hashlib.sha256(data).hexdigest()}"}
        # A lock from before it was asked for gets it too.
        (platform,) = first.requirements.wheels
        older = {platform: tuple(replace(one, left_out=0) for one in wheels)}
        old = replace(first, requirements=replace(first.requirements, wheels=older))
        assert lock_image(project, old, blobs=cache.blobs) == first
        index.ranges = False
        assert lock_image(project, first, blobs=cache.blobs) == first
