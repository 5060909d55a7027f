"""Good requests, ways to spoil them, and servers that must survive it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import models
from support.serving import Server

MAX_BODY = 1_000_000
MAX_ROWS = 100
VERSION = "7"
LIMITS = (
    *("--max-body-size", str(MAX_BODY), "--max-rows", str(MAX_ROWS), "--workers", "1"),
    *("--header-timeout", "1", "--body-timeout", "1", "--drain-delay", "0"),
    *("--model-version", VERSION),
)

GOOD: dict[str, dict[str, Any]] = {
    "churn": {"age": 1.5, "balance": -2.0, "mean radius": 0.25},
    "people": {"city": "Oslo", "age": 0.5, "income": None},
    "scores": {"feature_1": 1.5, "feature_2": -2.0, "feature_3": 0.25},
    "kinds": {"small": 200, "whole": -5, "big": 2**64 - 1, "flag": True, "half": 0.5},
}
"""A row for each model: columns, strings and missing values, ONNX in FP32, ONNX of many kinds."""

KINDS = {"small": "UINT8", "whole": "INT64", "big": "UINT64", "flag": "BOOL", "half": "FP16"}


def path_of(name: str, folder: Path) -> Path:
    """The file of the model ``name``."""
    if name == "people":
        return models.save_pickle(models.text_pipeline(), folder)
    if name == "scores":
        return models.save_onnx(models.named_classifier(), folder)
    if name == "kinds":
        return models.save_identity(folder, [(one, KINDS[one], (None, 1)) for one in KINDS])
    if name == "image":
        return models.save_identity(folder, [("image", "FP32", (None, 3, 8, 8))], "image")
    return models.save_pickle(models.named_classifier(), folder)


class Servers:
    """A server for each model, started together."""

    def __init__(self, serve: Any, folder: Path, names: Sequence[str]) -> None:
        self._running: dict[str, Server] = {
            name: serve(path_of(name, folder), "--name", name, *LIMITS, ready=False)
            for name in names
        }
        for server in self._running.values():
            server.wait_until_ready()
        self._good = {name: self._answer(name) for name in names}

    def __getitem__(self, name: str) -> Server:
        return self._running[name]

    def _answer(self, name: str) -> Any:
        if name == "image":
            pixels = [float(number) for number in range(3 * 8 * 8)]
            body = request([tensor("image", pixels, "FP32", shape=[1, 3, 8, 8])])
            return self[name].post("/v2/models/image/infer", content=body).json()["outputs"]
        answer = self[name].post("/predict", json=GOOD[name])
        assert answer.status_code == 200, answer.text
        return answer.json()

    def check(self, name: str) -> None:
        """The server still answers a good request, as it did at first."""
        assert self._answer(name) == self._good[name]


@dataclass(frozen=True)
class Case:
    """One bad request: what is wrong with it, and what its answer is to be and to say."""

    wrong: str
    body: bytes
    says: tuple[str, ...]
    status: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = "churn"
    method: str = "POST"


def row(model: str = "churn", /, **changes: Any) -> bytes:
    """A good row, changed; ``...`` leaves a field out."""
    changed = GOOD[model] | changes
    return json.dumps({name: value for name, value in changed.items() if value is not ...}).encode()


def tensor(name: str, data: Any, datatype: str = "FP64", **changes: Any) -> dict[str, Any]:
    """A V2 tensor, of one element unless ``shape`` says otherwise; ``...`` leaves a key out."""
    entry = {"name": name, "shape": [1, 1], "datatype": datatype, "data": data} | changes
    return {key: value for key, value in entry.items() if value is not ...}


def request(inputs: Any, **more: Any) -> bytes:
    """A V2 request."""
    return json.dumps({"inputs": inputs} | more).encode()


def message(path: str, body: Any) -> str:
    """The text of an error, which has the right shape for its path."""
    if path == "/v2" or path.startswith("/v2/"):
        assert set(body) == {"error"}
        return str(body["error"])
    assert set(body) == {"detail"}
    if isinstance(body["detail"], str):
        return str(body["detail"])
    for entry in body["detail"]:
        assert set(entry) == {"loc", "msg", "type"}
        assert entry["loc"][0] == "body"
    return "; ".join(entry["msg"] for entry in body["detail"])


def check(servers: Servers, case: Case) -> None:
    """The case gets the answer it deserves, and the server is none the worse for it."""
    response = servers[case.model].client.request(
        case.method, case.path, content=case.body, headers=case.headers
    )
    assert response.status_code == case.status, response.text
    assert response.headers["content-type"] == "application/json"
    said = message(case.path, response.json())
    assert [words for words in case.says if words not in said] == [], said
    assert len(said) < 4_000, "an answer does not send the request back"
    if case.status == 405:
        assert case.says[0] in response.headers["allow"].split(", ")
    servers.check(case.model)


def table(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """The cases as parameters, each by what is wrong with it."""
    names = [case.wrong for case in cases]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize("case", cases, ids=names)
