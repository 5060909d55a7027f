"""Whether a model fits, before it is written."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.artifact.room import expect_room
from boxship.errors import FetchError

GIB = 2**30


def kernel(root: Path, *, mount: Path, kind: str, most: str, used: int) -> Path:
    """``/proc`` and ``/sys`` as a container sees them."""
    text = f"1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / {mount} rw - {kind} {kind} rw\n"
    text += "3 1 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    files = {
        "proc/self/mountinfo": text,
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": most,
        # Some are pages of files, which the kernel drops when it needs them.
        "sys/fs/cgroup/memory.current": str(used + 100),
        "sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 60\nactive_file 40\n",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_what_does_not_fit_on_the_disk(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    expect_room(tmp_path, free // 2)
    with pytest.raises(FetchError, match=r"expected room for \d+ bytes more, found \d+"):
        expect_room(tmp_path, 2 * free)


@pytest.mark.parametrize(
    ("kind", "most", "fits"),
    [("tmpfs", str(GIB), False), ("tmpfs", "max", True), ("ext4", str(GIB), True)],
)
def test_a_folder_in_memory_has_the_memory_limits_room(
    kind: str, most: str, tmp_path: Path, *, fits: bool
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    root = kernel(tmp_path / "root", mount=cache, kind=kind, most=most, used=GIB - 1000)
    expect_room(cache, 1000, root=root)
    if fits:
        expect_room(cache, 1001, root=root)
        return
    with pytest.raises(FetchError, match="expected memory for 1001 bytes more, found 1000"):
        expect_room(cache, 1001, root=root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system: run as root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.optional_part("a container may not mount file systems")
def test_a_disk_that_fills_up_meanwhile(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear error, nothing at the final path, and what has arrived is gone on with."""
    from support.stores import Site, site

    from boxship.artifact import fetch
    from boxship.artifact.cache import Cache
    from boxship.location import parse

    content = bytes(range(256)) * 12_000
    cache = Cache(small_disk / "cache")
    # Somebody else writes once the room was checked.
    monkeypatch.setattr(fetch, "expect_room", lambda *_: None)
    hog = small_disk / "hog"
    hog.write_bytes(bytes(2_000_000))
    with site(Site({"/churn.bin": content}, {"/churn.bin": '"one"'})) as web:
        bring = fetch.Fetch(cache=cache, allow_http=True)
        location = parse(f"{web.url}/churn.bin")
        with pytest.raises(FetchError, match="No space left on device") as caught:
            bring(location)
        assert "What has arrived is kept" in caught.value.tip
        assert [file for file in (cache.folder / "models").rglob("*") if file.is_file()] == []
        hog.unlink()
        found = bring(location)
    assert found.model.path.read_bytes() == content
