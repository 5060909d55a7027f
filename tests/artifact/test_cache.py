"""The folder of fetched models."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from boxship.artifact.cache import Cache, Cached, default_folder, default_limit
from boxship.errors import FetchError, UsageError

NAMES = {"a": "sha256:" + "a" * 64, "b": "sha256:" + "b" * 64, "c": "sha256:" + "c" * 64}


def kept(cache: Cache, name: str, size: int = 10) -> Cached:
    source = f"s3://models/{name}"
    with cache.arriving(source) as folder:
        (folder / name).write_bytes(b"x" * size)
        return cache.keep(
            folder / name,
            NAMES[name],
            name=name,
            size=size,
            source=source,
            address=source,
            identity="1",
        )


def unused_for(cache: Cache, name: str, seconds: float) -> None:
    file = cache.folder / "models" / f"{NAMES[name].replace(':', '-')}.json"
    then = time.time() - seconds
    os.utime(file, (then, then))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_what_is_kept_is_found(cache: Cache) -> None:
    assert cache.find(NAMES["a"]) is None
    model = kept(cache, "a")
    assert model.path.read_bytes() == b"x" * 10
    found = cache.find(NAMES["a"])
    assert found is not None
    assert (found.path, found.size, found.source) == (model.path, 10, "s3://models/a")
    assert cache.known_digest("s3://models/a", "1") == NAMES["a"]
    assert cache.known_digest("s3://models/a", "2") == ""


def test_keeping_twice_changes_nothing(cache: Cache) -> None:
    assert kept(cache, "a").path == kept(cache, "a").path
    assert len(cache.entries()) == 1


def test_what_was_used_last_comes_first(cache: Cache) -> None:
    for name, seconds in (("a", 30), ("b", 10), ("c", 20)):
        kept(cache, name)
        unused_for(cache, name, seconds)
    assert [one.path.name for one in cache.entries()] == ["b", "c", "a"]
    cache.find(NAMES["a"])
    assert cache.entries()[0].path.name == "a"


def test_the_longest_unused_go_first(cache: Cache) -> None:
    for name, seconds in (("a", 30), ("b", 10), ("c", 20)):
        kept(cache, name)
        unused_for(cache, name, seconds)
    assert [one.path.name for one in cache.prune(20)] == ["a"]
    assert [one.path.name for one in cache.prune(0, spare=[NAMES["c"]])] == ["b"]
    assert [one.path.name for one in cache.entries()] == ["c"]
    assert cache.find(NAMES["a"]) is None


def test_a_removed_model_stays_readable_to_who_reads_it(cache: Cache) -> None:
    with kept(cache, "a").path.open("rb") as reader:
        cache.prune(0)
        assert reader.read() == b"x" * 10


def test_what_did_not_arrive_goes_unless_somebody_brings_it(cache: Cache) -> None:
    with cache.arriving("s3://models/a") as folder:
        (folder / "half").write_bytes(b"x" * 7)
        assert cache.clear_partial() == 0
    assert cache.clear_partial() == 7
    assert cache.clear_partial() == 0


def test_half_a_record_is_no_model(cache: Cache) -> None:
    kept(cache, "a")
    (cache.folder / "models" / f"{NAMES['a'].replace(':', '-')}.json").write_text("{")
    assert cache.find(NAMES["a"]) is None
    assert cache.entries() == []
    assert kept(cache, "a").path.exists()


def test_a_model_that_somebody_holds_is_not_pruned(cache: Cache) -> None:
    kept(cache, "a")
    kept(cache, "b")
    held = [cache.hold(NAMES["a"]), cache.hold(NAMES["a"])]
    for hold in held:
        assert [one.path.name for one in cache.prune(0)] in (["b"], [])
        assert cache.find(NAMES["a"]) is not None
        assert hold is not None
        hold.close()
    assert [one.path.name for one in cache.prune(0)] == ["a"]


def test_a_temporary_folder_that_another_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Root may write everywhere, or so the system says.
    monkeypatch.setattr("boxship.artifact.cache._writable", lambda _: False)
    nowhere = {"HOME": "/nonexistent"}
    folder = default_folder(nowhere)
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(FetchError, match="found another's"):
        default_folder(nowhere)
    folder.rmdir()
    folder.symlink_to("/tmp")
    with pytest.raises(FetchError, match="found another's"):
        default_folder(nowhere)


def test_the_default_folder(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert default_folder(home) == tmp_path / ".cache" / "boxship"
    assert default_folder({**home, "XDG_CACHE_HOME": "/x"}) != tmp_path / ".cache" / "boxship"
    assert default_folder({**home, "BOXSHIP_CACHE": "/data/models"}) == Path("/data/models")


def test_the_default_limit() -> None:
    assert default_limit({}) is None
    assert default_limit({"BOXSHIP_CACHE_SIZE": "20GB"}) == 20 * 10**9
    with pytest.raises(UsageError, match="BOXSHIP_CACHE_SIZE: expected a size such as"):
        default_limit({"BOXSHIP_CACHE_SIZE": "much"})


def test_where_the_root_is_read_only_the_cache_is_temporary() -> None:
    found = default_folder({"HOME": "/proc/self"})
    assert found.name == f"boxship-{os.getuid()}"
