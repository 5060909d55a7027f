"""What a wheel weighs in an image is asked of its server, which keeps the wheel."""

import hashlib
import logging
import os
import struct
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from support.images import Index, MakeProject, locked, make_wheel, serving_index

from boxship.build.layers.layer_cache import LayerCache
from boxship.build.locking import lock_image
from boxship.build.resolving.logins import Logins
from boxship.build.resolving.wheel_sizes import Size, Sizes
from boxship.lock import LockedWheel

KEPT = {"acme/core.so": b"\x01" * 20_000_000}
LEFT_OUT = {
    "acme/tests/test_core.py": b"\x02" * 1_000_000,
    "acme-1.0.data/purelib/acme/tests/test_more.py": b"\x03" * 200_000,
    "acme/core.h": b"\x04" * 30_000,
}
MODEL = 'model = "churn.onnx"\n'
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture(scope="module")
def wheel() -> tuple[str, bytes]:
    return make_wheel("acme", "1.0", {**KEPT, **LEFT_OUT})


def asked(index: Index, file: str, **options: int) -> Size:
    name, mark, password = index.login.partition(":")
    login = f"{name}:{quote(password, safe='')}@" if mark else ""
    with Sizes(Logins([index.url.replace("//", f"//{login}")], {"NETRC": "/dev/null"})) as ask:
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
    assert (
        "expected its server to tell its size, found 404 Not Found. It counts as 0" in caplog.text
    )


@pytest.mark.parametrize("ranges", [False, True])
def test_a_server_that_tells_no_heads(wheel: tuple[str, bytes], ranges: bool) -> None:  # noqa: FBT001
    """As a store answers for an address that is signed for reading."""
    file, data = wheel
    with serving_index(Index(dict([wheel]), login="bob:x", ranges=ranges, heads=False)) as index:
        assert asked(index, file).whole == len(data)
        assert index.sent < len(data)


KEYRING = """#!/bin/sh
[ "$*" = "get $SERVICE bob" ] && echo 'p@ss/word'
"""


@pytest.mark.parametrize("way", ["netrc", "a named index", "variables", "keyring"])
def test_a_login_is_found_where_uv_finds_it(
    make_project: MakeProject,
    cache: LayerCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    file, data = make_wheel("acme-login", "1.0", {"acme_login.py": ""})
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with serving_index(Index({file: data}, login="bob:p@ss/word")) as index:
        lines = f"--extra-index-url {index.url}\n"
        if way == "netrc":
            (tmp_path / "netrc").write_text("machine 127.0.0.1 login bob password p@ss/word\n")
            monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        elif way == "a named index":
            lines = ""
            monkeypatch.setenv("UV_INDEX", f"acme-corp={index.url}")
            monkeypatch.setenv("UV_INDEX_ACME_CORP_USERNAME", "bob")
            monkeypatch.setenv("UV_INDEX_ACME_CORP_PASSWORD", "p@ss/word")
        elif way == "variables":
            lines = lines.replace("//", "//${ACME_USER}:${ACME_PASSWORD}@")
            monkeypatch.setenv("ACME_USER", "bob")
            monkeypatch.setenv("ACME_PASSWORD", "p%40ss%2Fword")
        else:
            lines = lines.replace("//", "//bob@")
            (tmp_path / "keyring").write_text(KEYRING)
            (tmp_path / "keyring").chmod(0o755)
            monkeypatch.setenv("SERVICE", index.url)
            monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
            monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        whole = locked(make_project(MODEL, requirements_txt=f"{lines}acme-login\n"), cache)
        assert whole.requirements is not None
        assert whole.requirements.indexes == (index.url,)
    (wheels,) = whole.requirements.wheels.values()
    assert [one.size for one in wheels if one.name == "acme-login"] == [len(data)]


def test_a_wheel_that_is_here(wheel: tuple[str, bytes], tmp_path: Path) -> None:
    file, data = wheel
    (tmp_path / file).write_bytes(data)
    with Sizes(Logins([], {})) as ask:
        assert ask(tmp_path / file, DIGEST) == Size(len(data), 1_230_000)


def test_what_was_locked_is_not_asked_again(tmp_path: Path) -> None:
    before = LockedWheel("acme", "1.0", "acme.whl", DIGEST, 5_000_000, left_out=4)
    with Sizes(Logins([], {}), [before]) as ask:
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
