"""Two hundred concurrent callers each get the answer to their own rows."""

import asyncio
import re
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from conftest import Serve
from support import models
from support.serving import Server

CALLERS = 200
ROUNDS = 3
QUICK = ("--drain-delay", "0")
PATIENT = ("--request-timeout", "300")
"""What a slow machine takes is no matter here, and a late answer would be refused."""

SERVICE = '''
import asyncio
from dataclasses import dataclass

from boxship import Service


@dataclass
class Row:
    age: float
    balance: float


class Echo(Service):
    """The later calls are done first: answers must not be told apart by their order."""

    calls = 0

    async def predict(self, rows: list[Row]) -> list[Row]:
        self.calls += 1
        await asyncio.sleep(0.02 / self.calls)
        return rows
'''

Request = tuple[str, bytes, dict[str, str]]
"""A path, a body and headers."""


def as_rows(model: str, rows: Sequence[dict[str, Any]]) -> Request:
    body = rows[0] if len(rows) == 1 else rows
    return "/predict", msgspec.json.encode(body), {}


def as_tensors(model: str, rows: Sequence[dict[str, Any]]) -> Request:
    inputs = [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": "BYTES" if isinstance(rows[0][name], str) else "FP64",
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]
    return f"/v2/models/{model}/infer", msgspec.json.encode({"inputs": inputs}), {}


def as_binary(model: str, rows: Sequence[dict[str, Any]]) -> Request:
    inputs, tail = [], b""
    for name in rows[0]:
        column = [row[name] for row in rows]
        if isinstance(column[0], str):
            texts = [text.encode() for text in column]
            raw = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        else:
            raw = np.array(column, dtype="<f8").tobytes()
        inputs.append(
            {
                "name": name,
                "shape": [len(rows), 1],
                "datatype": "BYTES" if isinstance(column[0], str) else "FP64",
                "parameters": {"binary_data_size": len(raw)},
            }
        )
        tail += raw
    head = msgspec.json.encode({"inputs": inputs})
    length = {"Inference-Header-Content-Length": str(len(head))}
    return f"/v2/models/{model}/infer", head + tail, length


FORMS: tuple[Callable[[str, Sequence[dict[str, Any]]], Request], ...]
FORMS = (as_rows, as_tensors, as_binary)


def answered(response: httpx.Response) -> list[tuple[float, Any]]:
    """Score and label of each row, whatever form the answer has."""
    assert response.status_code == 200, response.text
    content = response.json()
    if "outputs" in content:
        outputs = {output["name"]: output["data"] for output in content["outputs"]}
        return list(zip(outputs["score"], outputs["label"], strict=True))
    rows = content if isinstance(content, list) else [content]
    return [(row["score"], row["label"]) for row in rows]


@pytest.fixture(
    scope="module",
    params=[
        *(("churn", "--workers", "1"), ("churn", "--workers", "2")),
        *(("people", "--workers", "1"), ("people", "--max-batch-size", "1", "--workers", "2")),
    ],
    ids=" ".join,
)
def served(
    request: pytest.FixtureRequest, serve_module: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, models.Trained, bool]]:
    """A server, its model, and whether it merges requests."""
    name, *options = request.param
    trained = {"churn": models.named_classifier, "people": models.text_pipeline}[name]()
    path = models.save_pickle(trained, tmp_path_factory.mktemp("callers"))
    server = serve_module(path, *QUICK, *PATIENT, *options)
    yield server, trained, "--max-batch-size" not in options
    server.stop()


def call(server: Server, requests: Sequence[Sequence[Request]]) -> list[list[httpx.Response]]:
    """Each caller's answers to its requests, all callers at once, each on its own connection."""
    shared = ssl.create_default_context()  # a client that makes its own takes 15 ms for that

    async def caller(own: Sequence[Request], start: asyncio.Barrier) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=60, verify=shared) as client:
            await client.get("/health")
            await start.wait()
            return [
                await client.post(path, content=body, headers=headers)
                for path, body, headers in own
            ]

    async def all_callers() -> list[list[httpx.Response]]:
        start = asyncio.Barrier(len(requests))
        return await asyncio.gather(*(caller(own, start) for own in requests))

    return asyncio.run(all_callers())


def batches(server: Server) -> tuple[int, int]:
    """How often the model was called, and with how many rows in all."""
    time.sleep(0.2)  # another worker's counts are in the files within 50 ms
    page = server.get("/metrics").text
    numbers = []
    for part in ("count", "sum"):
        found = re.search(rf"^boxship_batch_size_{part}{{[^}}]*}} (\S+)$", page, re.MULTILINE)
        numbers.append(int(float(found[1])) if found else 0)
    return numbers[0], numbers[1]


def test_200_concurrent_callers_each_get_their_own_answer(
    served: tuple[Server, models.Trained, bool],
) -> None:
    """One to five rows each, in every form; the rows are distinct, and so are their scores."""
    server, trained, merges = served
    rows = trained.as_json()
    scores = trained.estimator.predict_proba(trained.rows)[:, 1]
    labels = trained.estimator.predict(trained.rows).tolist()
    assert len(set(scores.tolist())) == len(rows)
    mine = [
        [
            [(caller * 7 + turn * 31 + at) % len(rows) for at in range(1 + caller % 5)]
            for turn in range(ROUNDS)
        ]
        for caller in range(CALLERS)
    ]
    requests = [
        [
            FORMS[(caller + turn) % 3](trained.name, [rows[index] for index in indices])
            for turn, indices in enumerate(turns)
        ]
        for caller, turns in enumerate(mine)
    ]
    calls_before, rows_before = batches(server)
    for turns, responses in zip(mine, call(server, requests), strict=True):
        for indices, response in zip(turns, responses, strict=True):
            for index, (score, label) in zip(indices, answered(response), strict=True):
                assert score == pytest.approx(scores[index], abs=1e-6)
                assert label == labels[index]
    calls, total = batches(server)
    assert total - rows_before == sum(len(indices) for turns in mine for indices in turns)
    if merges:
        assert calls - calls_before < CALLERS * ROUNDS * 3 / 4, "few requests shared a call"
    else:
        assert calls - calls_before == CALLERS * ROUNDS


def test_answers_that_overtake_each_other_stay_with_their_callers(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "echo.py").write_text(SERVICE, encoding="utf-8")
    server = serve("echo:Echo", "--workers", "1", "--max-batch-size", "4", *QUICK, cwd=tmp_path)
    rows = [{"age": float(caller), "balance": caller / 7} for caller in range(CALLERS)]
    requests = [[as_rows("echo", [row])] * 2 for row in rows]
    for row, responses in zip(rows, call(server, requests), strict=True):
        assert [response.json() for response in responses] == [row, row]
