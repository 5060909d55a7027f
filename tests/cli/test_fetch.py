"""``boxship fetch``, ``boxship lock`` and ``boxship cache``, as they are typed."""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import models
from support.stores import S3, let_find, s3_server

from boxship.cli import cache, main
from boxship.oci.blobs import Blobs

MODEL = b"model" * 1000
DIGEST = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as made:
        made.put("churn.onnx", MODEL)
        yield made


@pytest.fixture
def s3(server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The process's own environment finds the store; the working folder is empty."""
    let_find(server, monkeypatch)
    monkeypatch.setenv("BOXSHIP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return server


def ran(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.usefixtures("s3")
def test_fetch_prints_the_path_and_says_the_rest_beside(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = ran("fetch", "s3://models/churn.onnx", capsys=capsys)
    assert code == 0
    path = Path(out.removesuffix("\n"))
    assert path.read_bytes() == MODEL
    assert path.is_relative_to(tmp_path / "cache")
    assert err.splitlines()[-1].startswith(f"{DIGEST} (5.0 kB in ")
    code, again, err = ran("fetch", "s3://models/churn.onnx", capsys=capsys)
    assert (code, again) == (0, out)
    assert err == f"{DIGEST} (5.0 kB, here already)\n"


@pytest.mark.usefixtures("s3")
def test_fetch_into_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = ran(
        "fetch", "s3://models/churn.onnx", "--to", "there", "--digest", DIGEST, capsys=capsys
    )
    assert (code, out) == (0, "there/churn.onnx\n")
    assert [one.name for one in Path("there").iterdir()] == ["churn.onnx"]
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("churn.onnx",), 2, "churn.onnx: expected a URL, found a path."),
        (("s3://models/churn.onnx", "--digest", "abc"), 2, "--digest: expected sha256:"),
        (("s3://models/churn.onnx", "--digest", "sha256:a"), 2, "s3://models/churn.onnx: expected"),
        (("ftp://host/a",), 2, "ftp://host/a: expected a path, file:///…, s3://"),
        (("s3://key:hidden@models/x",), 2, "s3://models/x: expected no credentials in the"),
        (("az://models/x?sv=1&sig=hidden",), 2, "az://models/x: expected no credentials in the"),
        (("s3://models/churn.onnx", "--to", "/dev/null"), 6, "/dev/null: expected a folder"),
        (("s3://models/none",), 6, "s3://models/none: expected a model there, found nothing."),
        (
            ("s3://models/churn.onnx", "--digest", "sha256:" + "0" * 64),
            7,
            "s3://models/churn.onnx: expected the digest sha256:000",
        ),
    ],
)
def test_fetch_says_what_is_wrong(
    arguments: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = ran("fetch", *arguments, capsys=capsys)
    assert (found, out) == (code, "")
    assert f"boxship: {message}" in err
    assert "Traceback" not in err
    assert "hidden" not in err


@pytest.mark.usefixtures("s3")
def test_the_cache_is_listed_and_pruned(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("cache", "list", capsys=capsys)[1].endswith("cache: no models\n")
    ran("fetch", "s3://models/churn.onnx", capsys=capsys)
    _, out, _ = ran("cache", "list", capsys=capsys)
    assert out.splitlines() == [
        "churn.onnx  5.0 kB, used just now",
        f"  {DIGEST}",
        "  from s3://models/churn.onnx",
    ]
    found = json.loads(ran("cache", "list", "--format", "json", capsys=capsys)[1])
    assert found["version"] == 1
    assert [one["digest"] for one in found["models"]] == [DIGEST]
    assert ran("cache", "prune", "--keep", "1MB", capsys=capsys)[1] == "0 bytes freed\n"
    assert ran("cache", "prune", "--keep", "much", capsys=capsys)[0] == 2
    _, out, _ = ran("cache", "prune", capsys=capsys)
    assert out == f"removed churn.onnx  5.0 kB  {DIGEST}\n5.0 kB freed\n"
    assert ran("cache", "list", capsys=capsys)[1].endswith("cache: no models\n")


def kept_layer(tmp_path: Path, used: float) -> int:
    """A blob in the cache as a build leaves it there; its size."""
    data = b"layer" * 4000
    blobs = Blobs(tmp_path / "cache" / "images" / "blobs")
    made = blobs.add(data, "")
    os.utime(blobs.path(made.digest), (used, used))
    return made.size


@pytest.mark.usefixtures("s3")
def test_layers_are_listed_and_pruned_with_the_models(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    size = kept_layer(tmp_path, time.time() - 7200)
    _, out, _ = ran("cache", "list", capsys=capsys)
    assert out == (
        f"{tmp_path}/cache: no models\nimage layers  20.0 kB in 1 file, used 2 hours ago\n"
    )
    ran("fetch", "s3://models/churn.onnx", capsys=capsys)
    found = json.loads(ran("cache", "list", "--format", "json", capsys=capsys)[1])
    assert (found["version"], len(found["models"])) == (1, 1)
    assert found["layers"] == {"count": 1, "bytes": size}
    assert ran("cache", "prune", "--keep", "25kB", capsys=capsys)[1] == "0 bytes freed\n"
    assert ran("cache", "prune", "--keep", "24kB", capsys=capsys)[1] == (
        "removed image layers  20.0 kB in 1 file\n20.0 kB freed\n"
    )
    kept_layer(tmp_path, time.time() + 60)
    assert ran("cache", "prune", "--keep", "24kB", capsys=capsys)[1] == (
        f"removed churn.onnx  5.0 kB  {DIGEST}\n5.0 kB freed\n"
    )
    assert ran("cache", "prune", capsys=capsys)[1].endswith("20.0 kB freed\n")


@pytest.mark.usefixtures("s3")
def test_a_container_has_no_layers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes them is not shipped in it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "boxship.build.layers.layer_folder", None)
    arguments = argparse.Namespace(format="json", keep=None)
    assert cache.run_list(arguments) == cache.run_prune(arguments) == 0
    out = capsys.readouterr().out
    assert '"layers": {\n    "count": 0,' in out
    assert out.endswith("\n0 bytes freed\n")


def test_a_project_is_locked_to_the_bytes_it_has(
    s3: S3, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = models.save_identity(tmp_path, [("x", "FP32", (None, 2))]).read_bytes()
    s3.put("pixels.onnx", model)
    Path("boxship.toml").write_text('model = "s3://models/pixels.onnx"\n')
    code, out, _ = ran("lock", "--only", "model", capsys=capsys)
    assert code == 0
    digest = f"sha256:{hashlib.sha256(model).hexdigest()}"
    assert digest in out
    written = Path("boxship.lock").read_text()
    assert f'digest = "{digest}"' in written
    # What serves it is known from then on, without the model.
    assert 'needs = ["boxship[onnx]"]' in written
    assert ran("lock", "--only", "model", capsys=capsys)[0] == 0
    assert Path("boxship.lock").read_text() == written


@pytest.mark.usefixtures("s3")
def test_what_no_server_could_serve_is_not_locked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("boxship.toml").write_text('model = "s3://models/churn.onnx"\n')
    code, _, err = ran("lock", "--only", "model", capsys=capsys)
    assert code == 3
    assert "is no model that Boxship knows" in err
    assert not Path("boxship.lock").exists()


@pytest.mark.usefixtures("s3")
def test_nothing_to_lock(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ran("lock", "--only", "model", capsys=capsys)
    assert code == 2
    assert "Expected a model to serve" in err
    assert not Path("boxship.lock").exists()
