"""The published document tells the truth: schemathesis finds nothing that it does not say."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Need, Serve
from support import models
from support.serving import Server

EXAMPLES_PER_OPERATION = 30

SERVICE = '''
from dataclasses import dataclass
from typing import Literal

from boxship import InputError, Service


@dataclass
class Order:
    """What somebody buys."""

    pieces: int
    weight: float
    plan: Literal["basic", "gold"] = "basic"
    gift: bool | None = None


@dataclass
class Price:
    total: float
    label: str


class Pricing(Service):
    """Prices of orders."""

    def predict(self, rows: list[Order]) -> list[Price]:
        """The price of each order."""
        if any(row.pieces < 0 for row in rows):
            raise InputError("pieces must not be negative")
        return [Price(total=row.weight / 2, label=f"{row.pieces} of {row.plan}") for row in rows]
'''


def start(name: str, serve: Serve, folder: Path) -> Server:
    """A server of one of the five kinds of model."""
    if name == "service":
        (folder / "pricing.py").write_text(SERVICE, encoding="utf-8")
        return serve("pricing:Pricing", *QUICK, cwd=folder)
    images = [("image", "FP32", (None, 3, 2, 2)), ("mask", "BOOL", (None, 2))]
    path = {
        "columns": lambda: models.save_pickle(models.named_classifier(), folder),
        "strings": lambda: models.save_pickle(models.text_pipeline(), folder),
        "ONNX": lambda: models.save_onnx(models.named_classifier(), folder),
        "tensors": lambda: models.save_identity(folder, images),
    }[name]()
    return serve(path, *QUICK)


QUICK = ("--workers", "1", "--drain-delay", "0")


@pytest.fixture(scope="module", params=["columns", "strings", "ONNX", "tensors", "service"])
def server(
    request: pytest.FixtureRequest, serve_module: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    started = start(request.param, serve_module, tmp_path_factory.mktemp("published"))
    yield started
    started.stop()


def schemathesis(need: Need, server: Server, cwd: Path, *options: str) -> str:
    """What schemathesis reports on the live server; fails with its report."""
    need.module("schemathesis")
    limits = ("--max-examples", str(EXAMPLES_PER_OPERATION), "--generation-deterministic")
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--url", server.url, "--phases", "examples,coverage,fuzzing", "--no-color"),
            *limits,
            *options,
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_schemathesis_finds_nothing(need: Need, server: Server, tmp_path: Path) -> None:
    """No 5xx, and no answer whose status, type, headers or body the document does not have.

    One check is left to the next test: no JSON Schema can say that a tensor's data fills its
    shape, so most tensors that fit the schema are refused.
    """
    report = schemathesis(
        need, server, tmp_path, "--checks", "all", "--exclude-checks", "positive_data_acceptance"
    )
    operations = sum(
        len(path.keys() - {"parameters"}) for path in document(server)["paths"].values()
    )
    assert f"Tested: {operations}" in report
    cases = re.search(r"(\d+) generated", report)
    assert cases is not None
    assert int(cases[1]) > 400
    assert '"level":"error"' not in server.log


@pytest.mark.parametrize("server", ["columns", "ONNX"], indirect=True)
def test_each_row_that_fits_the_schema_gets_an_answer(
    need: Need, server: Server, tmp_path: Path
) -> None:
    report = schemathesis(
        need, server, tmp_path, "--include-path", "/predict", "--checks", "positive_data_acceptance"
    )
    assert "Tested: 1" in report


def document(server: Server) -> Mapping[str, Any]:
    content: dict[str, Any] = server.get("/openapi.json").json()
    return content


def test_each_example_can_be_sent_as_it_stands(server: Server) -> None:
    described = document(server)
    answered = []
    for path, operations in described["paths"].items():
        parameters = operations.get("parameters", ())
        for method, operation in operations.items():
            if method == "parameters" or "200" not in operation["responses"]:
                continue
            url = path
            for parameter in parameters:
                url = url.replace(f"{{{parameter['name']}}}", parameter["example"])
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("example")
            assert (body is None) == (method == "get"), path
            response = server.client.request(method, url, json=body)
            assert response.status_code == 200, (path, response.text)
            answered.append(path)
    silent = [path for path in described["paths"] if path not in answered]
    assert silent in ([], ["/predict"]), "only a model of tensors has no /predict to show"


def test_the_document_is_valid_openapi(need: Need, server: Server) -> None:
    need.module("openapi_spec_validator").validate(document(server))
