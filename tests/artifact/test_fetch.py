"""A model from a store: the right bytes in the end, or one clear error, and nothing between."""

import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stores import S3, Site, Zeros, let_find, s3_server, site, wire

from boxship.artifact.cache import Cache, Cached
from boxship.artifact.digest import digest
from boxship.artifact.fetch import Fetch, Fetched, Progress
from boxship.artifact.remote import stores, transfer
from boxship.errors import EXIT_FETCH, DigestError, FetchError
from boxship.location import parse

SMALL_CHUNK = 64 * 1024
MODEL = random.Random(1).randbytes(20 * SMALL_CHUNK + 123)
DIGEST = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
OTHER = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def s3_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as server:
        server.put("churn.bin", MODEL)
        yield server


@pytest.fixture
def s3(s3_running: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The process's environment finds it."""
    let_find(s3_running, monkeypatch)
    return s3_running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small file is many requests."""
    monkeypatch.setattr(transfer, "CHUNK_BYTES", SMALL_CHUNK)


def fetched(url: str, cache: Cache) -> Fetched:
    return Fetch(cache=cache, allow_http=True)(parse(url))


def left_over(cache: Cache) -> list[Path]:
    """Whole models that are in the cache."""
    return [file for file in (cache.folder / "models").rglob("*") if file.is_file()]


def test_an_object_comes_whole_and_once(s3: S3, cache: Cache) -> None:
    told: list[Progress] = []
    fetch = Fetch(cache=cache, told=told.append)
    first = fetch(parse("s3://models/churn.bin"))
    assert first.model.path.name == "churn.bin"
    assert first.model.path.read_bytes() == MODEL
    assert (first.model.digest, first.model.size) == (DIGEST, len(MODEL))
    assert first.read_bytes == len(MODEL)
    assert told[-1] == Progress(len(MODEL), len(MODEL))
    assert [one.percent for one in told] == sorted({one.percent for one in told})
    again = fetch(parse("s3://models/churn.bin"))
    assert again.model.path == first.model.path
    assert again.read_bytes == 0


def test_a_pinned_digest_needs_no_network_once_it_is_here(
    s3: S3, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://models/churn.bin@{DIGEST}"
    path = fetched(url, cache).model.path
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert fetched(url, cache).model.path == path


@pytest.mark.parametrize("known", [False, True])
def test_other_bytes_than_those_that_are_meant_are_refused(
    s3: S3, cache: Cache, *, known: bool
) -> None:
    if known:
        fetched("s3://models/churn.bin", cache)
    with pytest.raises(DigestError) as caught:
        fetched(f"s3://models/churn.bin@{OTHER}", cache)
    assert OTHER in caught.value.message
    assert DIGEST in caught.value.message
    if not known:
        assert left_over(cache) == []


def test_a_prefix_is_a_folder(s3: S3, cache: Cache) -> None:
    files = {"MLmodel": b"flavors:", "data/model.bin": MODEL, "data/empty": b""}
    for name, content in files.items():
        s3.put(f"saved/{name}", content)
    s3.put("saved-not/other", b"no part of it")
    for url in ("s3://models/saved", "s3://models/saved/"):
        model = fetched(url, cache).model
        found = {
            str(file.relative_to(model.path)): file.read_bytes()
            for file in model.path.rglob("*")
            if file.is_file()
        }
        assert found == files
        assert model.path.name == "saved"
        assert model.digest == digest(model.path)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("tenth", range(10))
def test_a_connection_that_is_cut_loses_nothing(
    s3: S3, cache: Cache, tenth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = max(1, tenth * len(MODEL) // 10)
    with wire(s3.port, cut, cut // 2 + 1) as line:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
        model = fetched("s3://models/churn.bin", cache).model
        assert line.happened
    assert model.path.read_bytes() == MODEL
    assert model.digest == DIGEST


def test_a_server_that_recovers_is_asked_again(cache: Cache) -> None:
    with site(Site({"/churn.bin": MODEL}, failures=3)) as web:
        assert fetched(f"{web.url}/churn.bin", cache).model.digest == DIGEST


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("tag", ['"one"', 'W/"one"', None])
def test_web_servers_of_all_kinds(cache: Cache, tag: str | None, *, ranges: bool) -> None:
    tags = {"/churn.bin": tag} if tag else {}
    with site(Site({"/churn.bin": MODEL}, tags, ranges=ranges)) as web:
        assert fetched(f"{web.url}/churn.bin", cache).model.path.read_bytes() == MODEL


@pytest.mark.usefixtures("small_chunks")
def test_an_object_that_is_replaced_midway_comes_whole(cache: Cache) -> None:
    """All of the new one: never some of each."""
    new = bytes(reversed(MODEL))
    with site(Site({"/churn.bin": MODEL}, {"/churn.bin": '"one"'})) as web:
        web.after = {5: ("/churn.bin", new)}
        # The tag changes with the content, as a store's does.
        original = dict(web.tags)

        class Tags(dict[str, str]):
            def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
                return '"two"' if web.files[key] == new else original.get(key, default)

        web.tags = Tags()
        model = fetched(f"{web.url}/churn.bin", cache).model
    assert model.path.read_bytes() == new


def test_http_must_be_allowed(cache: Cache) -> None:
    with pytest.raises(FetchError, match="expected https://, found http://"):
        Fetch(cache=cache)(parse("http://127.0.0.1:1/churn.bin"))


@pytest.mark.parametrize(
    "url", ["s3://models/missing.bin", "s3://models/none/", "s3://no-such-bucket/churn.bin"]
)
@pytest.mark.usefixtures("s3")
def test_what_is_not_there(cache: Cache, url: str) -> None:
    with pytest.raises(FetchError, match="expected a model there, found nothing") as caught:
        fetched(url, cache)
    assert "do-not-show-me" not in caught.value.paragraph()
    assert left_over(cache) == []


@pytest.mark.parametrize("status", [401, 403])
def test_what_is_denied_says_where_credentials_are_looked_for(cache: Cache, status: int) -> None:
    with (
        site(Site({"/churn.bin": MODEL}, denies=status)) as web,
        pytest.raises(FetchError, match="access denied") as caught,
    ):
        fetched(f"{web.url}/churn.bin", cache)
    assert "user:password@" in caught.value.tip


def test_an_s3_store_that_denies_names_all_of_them(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(Site(denies=403)) as web:
        monkeypatch.setenv("AWS_ENDPOINT_URL", web.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-show-me")
        with pytest.raises(FetchError, match="access denied") as caught:
            fetched("s3://models/churn.bin", cache)
    for word in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        assert word in caught.value.tip
    assert "do-not-show-me" not in caught.value.paragraph()


def test_a_damaged_model_is_not_taken_from_the_cache(s3: S3, cache: Cache) -> None:
    """Whether its digest was pinned or not, it is fetched again."""
    for url in ("s3://models/churn.bin", f"s3://models/churn.bin@{DIGEST}"):
        model = fetched(url, cache).model
        model.path.write_bytes(MODEL[:-1] + b"x")
        again = fetched(url, cache)
        assert again.model.path.read_bytes() == MODEL
        assert again.read_bytes == len(MODEL)


def test_a_cache_that_has_grown_too_large_is_pruned(s3: S3, cache: Cache) -> None:
    for number in range(3):
        s3.put(f"{number}.bin", MODEL + bytes([number]))
        Fetch(cache=cache, most_bytes=2 * len(MODEL))(parse(f"s3://models/{number}.bin"))
    assert [one.path.name for one in cache.entries()] == ["2.bin"]


def test_no_message_repeats_a_password(cache: Cache) -> None:
    with site(Site()) as web:
        host = web.url.removeprefix("http://")
        with pytest.raises(FetchError) as caught:
            fetched(f"http://me:hidden@{host}/churn.bin?token=hidden", cache)
    assert "hidden" not in caught.value.paragraph()
    assert web.requests[0][1] == "/churn.bin?token=hidden"
    assert web.requests[0][2].startswith("Basic ")


def test_a_cache_that_cannot_be_written(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FetchError, match="expected a folder for models that can be written"):
        fetched("s3://models/churn.bin", Cache(tmp_path / "file" / "cache"))


@pytest.mark.parametrize("ranges", [True, False])
def test_an_object_whose_store_promises_more_than_it_has(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, *, ranges: bool
) -> None:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(stores, "_RETRIES", {"max_retries": 0})
    with site(Site({"/churn.bin": MODEL}, ranges=ranges, short=100)) as web:
        with pytest.raises(FetchError, match=r"churn\.bin: it could not be read") as caught:
            fetched(f"{web.url}/churn.bin", cache)
        assert left_over(cache) == []
        web.short = 0
        assert fetched(f"{web.url}/churn.bin", cache).model.digest == DIGEST
    assert caught.value.exit_code == EXIT_FETCH


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which can be made read-only for root too."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system: run as root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.optional_part("a container may not mount file systems")
def test_a_read_only_cache_gives_what_it_has(s3: S3, mounted: Path) -> None:
    """As a volume that was filled before; what it lacks is one clear error."""
    cache = Cache(mounted / "cache")
    fetched("s3://models/churn.bin", cache)
    s3.put("other.bin", b"other")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    found = fetched(f"s3://models/churn.bin@{DIGEST}", cache)
    assert found.model.path.read_bytes() == MODEL
    assert found.read_bytes == 0
    with pytest.raises(FetchError, match="expected a folder for models that can be written"):
        fetched("s3://models/other.bin", cache)


def test_a_killed_process_is_gone_on_with(s3: S3, tmp_path: Path) -> None:
    """What has arrived is not asked for again."""
    big = random.Random(2).randbytes(48 * 1024 * 1024)
    s3.put("big.bin", big)
    cache = Cache(tmp_path / "cache")
    environ = {**os.environ, "BOXSHIP_CACHE": str(cache.folder)}
    argv = [sys.executable, "-m", "boxship", "fetch", "s3://models/big.bin"]
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        parts = list((cache.folder / "partial").rglob("big.bin"))
        if parts and parts[0].stat().st_size > 2 * 1024 * 1024:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    process.communicate()
    assert left_over(cache) == []
    found = fetched("s3://models/big.bin", cache)
    assert found.model.path.read_bytes() == big
    assert found.read_bytes <= len(big) - 2 * 1024 * 1024


def test_two_processes_fetch_once(s3: S3, tmp_path: Path) -> None:
    environ = {**os.environ, "BOXSHIP_CACHE": str(tmp_path / "cache")}
    argv = [sys.executable, "-m", "boxship", "fetch", "s3://models/churn.bin"]
    both = [
        subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert len({out for out, _ in outputs}) == 1
    assert sorted(b"here already" in err for _, err in outputs) == [False, True]


def test_what_came_of_another_object_is_not_gone_on_with(s3: S3, cache: Cache) -> None:
    identity = json.dumps([["churn.bin", 5, "old"]])
    with cache.arriving("s3://models/churn.bin") as folder:
        old = folder / hashlib.sha256(identity.encode()).hexdigest()
        old.mkdir()
        (old / "churn.bin").write_bytes(b"x" * 100)
    assert fetched("s3://models/churn.bin", cache).model.digest == DIGEST


def test_addresses_that_differ_in_their_query_are_two_models(cache: Cache) -> None:
    with site(Site({"/get?name=a": b"churn", "/get?name=b": b"fraud"})) as web:
        for name, content in (("a", b"churn"), ("b", b"fraud")):
            model = fetched(f"{web.url}/get?name={name}", cache).model
            assert model.path.read_bytes() == content
            assert "name=" not in model.source


def test_an_object_that_nothing_tells_from_another_comes_in_one_piece(
    cache: Cache, small_chunks: None
) -> None:
    """Without tag and date, parts of two objects could not be told from those of one."""
    other = bytes(len(MODEL))
    with site(Site({"/a.bin": MODEL}, dated=False, after={6: ("/a.bin", other)})) as web:
        found = fetched(f"{web.url}/a.bin", cache).model.path.read_bytes()
    assert found in (MODEL, other)
    assert len([one for one in web.requests if one[0] == "GET"]) <= 2


@pytest.mark.parametrize("content", [MODEL, b""])
def test_a_head_that_says_nothing_of_the_length(cache: Cache, content: bytes) -> None:
    with site(Site({"/a.bin": content}, head_is_empty=True)) as web:
        assert fetched(f"{web.url}/a.bin", cache).model.path.read_bytes() == content


def test_small_parts_come_first() -> None:
    """Of what a killed process was bringing, an eighth is lost at most, or eight megabytes."""
    sizes = [end - start for start, end in transfer._chunks(0, 1 << 30)]
    assert sum(sizes) == 1 << 30
    assert sizes[:8] == [1 << 20] * 8
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]
    assert max(sizes) == transfer.CHUNK_BYTES


def test_a_model_that_is_pruned_while_it_is_looked_at_is_fetched_again(
    s3: S3, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetched("s3://models/churn.bin", cache)
    find = cache.find

    def gone(name: str) -> Cached | None:
        found = find(name)
        monkeypatch.setattr(cache, "find", find)
        cache.prune(0)
        return found

    monkeypatch.setattr(cache, "find", gone)
    again = fetched("s3://models/churn.bin", cache)
    assert again.read_bytes == len(MODEL)
    assert again.model.path == first.model.path


@pytest.mark.parametrize(
    ("login", "query"), [("", "?x=1&token=SECRET-VALUE"), ("bob:p%40ss-word@", "")]
)
def test_no_message_repeats_what_a_server_repeats(cache: Cache, login: str, query: str) -> None:
    says = b"SECRET-VALUE is no token, and p@ss-word no password of bob"
    with site(Site(denies=400, says=says)) as web, pytest.raises(FetchError) as caught:
        fetched(f"http://{login}127.0.0.1:{web.port}/a.bin{query}", cache)
    assert "is no token" in caught.value.message
    assert ("SECRET-VALUE" if query else "p@ss-word") not in caught.value.message


def test_a_folder_is_refused_before_any_of_it_is_read(s3: S3, cache: Cache) -> None:
    for name in ("model.onnx", "config.json"):
        s3.put(f"repository/{name}", MODEL)
    fetch = Fetch(cache=cache, single=True)
    with pytest.raises(
        FetchError, match=r"found a folder of 2: config\.json, model\.onnx"
    ) as caught:
        fetch(parse("s3://models/repository"))
    assert "s3://models/repository/config.json" in caught.value.tip
    assert left_over(cache) == []


def test_no_room_is_said_before_anything_is_read(
    s3: S3, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: replace_free(usage, 1000))
    with pytest.raises(FetchError, match=f"expected room for {len(MODEL)} bytes more, found 1000"):
        fetched("s3://models/churn.bin", cache)


def replace_free(usage: object, free: int) -> object:
    return usage._replace(free=free)  # type: ignore[attr-defined]


def test_into_a_folder(s3: S3, tmp_path: Path) -> None:
    target = tmp_path / "models"
    fetch = Fetch(cache=Cache(tmp_path / "cache"))
    for _ in range(2):
        model = fetch.into(target, parse("s3://models/churn.bin")).model
        assert model.path == target / "churn.bin"
        assert [one.name for one in target.iterdir()] == ["churn.bin"]
        assert model.path.read_bytes() == MODEL


def test_a_folder_takes_the_place_of_another(s3: S3, tmp_path: Path) -> None:
    """Or of a file; what was there is gone."""
    fetch = Fetch(cache=Cache(tmp_path / "cache"))
    target = tmp_path / "models"
    target.mkdir()
    (target / "versions").write_text("a file")
    for number in range(2):
        s3.put(f"versions/{number}.bin", MODEL)
        path = fetch.into(target, parse("s3://models/versions")).model.path
        assert {one.name for one in path.iterdir()} == {f"{n}.bin" for n in range(number + 1)}
        assert [one.name for one in target.iterdir()] == ["versions"]


def test_a_large_file_needs_little_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 GB within 200 MB, the interpreter included."""
    size = 2_000_000_000
    environ = {**os.environ, "BOXSHIP_CACHE": str(tmp_path / "cache")}
    began = time.monotonic()
    with site(Site({"/big.bin": Zeros(size)})) as web:
        argv = [sys.executable, "-m", "boxship", "fetch", f"{web.url}/big.bin", "--allow-http"]
        with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, text=True) as process:
            peak_kb = 0
            while process.poll() is None:
                status = Path(f"/proc/{process.pid}/status")
                with contextlib.suppress(OSError):
                    line = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
                    peak_kb = max(peak_kb, int(line[1]) if line else 0)
                time.sleep(0.05)
            assert process.stdout is not None
            path = Path(process.stdout.read().removesuffix("\n"))
    assert process.returncode == 0
    assert path.stat().st_size == size
    path.unlink()
    with capsys.disabled():
        seconds = time.monotonic() - began
        found = f"2 GB in {seconds:.1f} s, {peak_kb / 1000:.0f} MB of memory at most"
        print(f" {found} ", end="")  # noqa: T201 (the figure belongs to the tests' output)
    assert peak_kb < 200_000
