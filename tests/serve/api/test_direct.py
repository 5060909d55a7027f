"""What the path beside ASGI says when something is wrong, and to whom."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxship.errors import InputError
from boxship.runtimes.base import Tensors
from boxship.serve import metrics
from boxship.serve.api.app import App
from boxship.serve.api.observer import Identity
from boxship.serve.arrived import Answer, Arrived, Later
from boxship.serve.codec.models import TensorModel
from boxship.serve.lane import Call
from boxship.serve.warmup import WarmUp
from boxship.settings import ServeSettings
from boxship.signature import Answer as Field, Signature, TensorSpec

A = TensorSpec(name="a", datatype="FP64")
SIGNATURE = Signature(
    inputs=(A,),
    outputs=(TensorSpec(name="b", datatype="FP64"),),
    columns=(A,),
    answers=(Field(name="b", output="b"),),
    matrix=TensorSpec(name="input", datatype="FP64", shape=(-1, 1)),
)
ROW = b'{"a": 1.5}'
POISON = 13.0


@dataclass
class Fake:
    """Doubles; breaks where it meets ``POISON``."""

    signature: Signature = SIGNATURE
    batchable: bool = True
    reentrant: bool = True
    name: str = "fake 1.0"

    def run(self, batch: Tensors) -> Tensors:
        rows: Any = batch["input"]
        if POISON in rows:
            raise ZeroDivisionError("it broke")
        if (rows < 0).any():
            raise InputError("a: expected no negative number")
        return {"b": 2 * rows[:, 0]}

    def sample(self, rows: int) -> Tensors:
        return {"input": np.zeros((rows, 1))}


@pytest.fixture(autouse=True)
def counted(tmp_path: Path) -> Iterator[None]:
    metrics.prepare(tmp_path, "0")
    yield
    metrics.release()


def app(*, inline_rows: int = 8, shared_rows: int = 64, **settings: Any) -> App:
    return App(
        TensorModel(Fake(), max_rows=1000),
        Identity("fake", "7", ""),
        ServeSettings(**settings),
        warm_up=WarmUp(inline_rows=inline_rows, shared_rows=shared_rows),
        openapi=lambda: b"",
        counters=metrics.ServerMetrics(),
    )


def busy(made: App) -> App:
    """A call that takes a minute has just begun."""
    made._batcher.costs.observe(1, 60.0)
    made._batcher._usual.running.add(Call("rows", started=time.monotonic()))
    return made


def arrived(body: bytes, **headers: str) -> Arrived:
    given = {"content-type": "application/json", **headers}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    return Arrived(b"/predict", pairs, body, ("127.0.0.1", 5), lambda: False)


def asked(make: Callable[[], App], *requests: Arrived) -> list[bytes | None]:
    """The whole responses to requests that one pass has read; None where ASGI is to answer."""

    async def run() -> list[bytes | None]:
        handler = make().direct
        found: dict[int, bytes | None] = {}

        def take(number: int, data: bytes, close: bool) -> None:  # noqa: FBT001 (as it is called)
            assert not close
            found[number] = data

        for number, request in enumerate(requests):
            answer = handler(request)
            if isinstance(answer, Later):
                answer.deliver = partial(take, number)
            else:
                found[number] = answer.data if isinstance(answer, Answer) else None
        async with asyncio.timeout(5):
            while len(found) < len(requests):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0)
        return [found[number] for number in range(len(requests))]

    return asyncio.run(run())


def parsed(response: bytes | None) -> tuple[int, dict[str, str], Any]:
    assert response is not None
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)


WAYS = pytest.mark.parametrize(("inline_rows", "shared_rows"), [(0, 0), (0, 64), (8, 64)])
"""Through the batcher, all single rows in one call, and small lists without a thread too."""


@WAYS
def test_a_failure_has_one_id(inline_rows: int, shared_rows: int) -> None:
    """In its body, which sends people to the log, and in its header."""
    (response,) = asked(
        lambda: app(inline_rows=inline_rows, shared_rows=shared_rows), arrived(b'{"a": 13}')
    )
    status, headers, content = parsed(response)
    assert status == 500
    match = re.search(r"request id (\S+)$", content["detail"])
    assert match is not None
    assert match[1] == headers["x-request-id"]


@WAYS
def test_a_failure_is_its_own_rows(inline_rows: int, shared_rows: int) -> None:
    bodies = [b'{"a": 1}', b'{"a": 13}', b'{"a": -1}', b'{"a": 2}']
    found = asked(
        lambda: app(inline_rows=inline_rows, shared_rows=shared_rows), *map(arrived, bodies)
    )
    said = [parsed(response) for response in found]
    assert [status for status, _, _ in said] == [200, 500, 422, 200]
    assert [content for _, _, content in said[::3]] == [{"b": 2.0}, {"b": 4.0}]


def test_what_goes_wrong_while_it_is_read_is_left_to_the_application() -> None:
    """Which answers 500 with a line in the log, and does not take it for broken HTTP."""

    def decode(_: bytes) -> tuple[Any, int, bool]:
        raise ZeroDivisionError("it broke")

    def broken() -> App:
        made = app(inline_rows=0, shared_rows=0)
        made._model.decode_rows = decode  # type: ignore[method-assign,assignment]
        return made

    assert asked(broken, arrived(ROW)) == [None]


def test_a_large_list_is_not_refused_for_the_small_ones_queue() -> None:
    """It has a lane of its own."""

    def make() -> App:
        return busy(app(inline_rows=0, shared_rows=0, max_batch_size=2))

    rows = json.dumps([{"a": number} for number in range(3)]).encode()
    one, three = asked(make, arrived(ROW, x_request_timeout_ms="50"), arrived(rows))
    assert parsed(one)[0] in (503, 504)
    assert parsed(three)[0] == 200


def test_a_refusal_says_when_to_come_again_and_keeps_its_callers_id() -> None:
    calls = [arrived(ROW, x_request_timeout_ms="500", x_request_id=f"r{n}") for n in range(3)]
    made = partial(app, inline_rows=0, shared_rows=0)
    for number, response in enumerate(asked(lambda: busy(made()), *calls)):
        status, headers, content = parsed(response)
        assert (status, headers["x-request-id"]) == (503, f"r{number}")
        assert int(headers["retry-after"]) >= 60
        assert content["detail"].startswith("the model is busy: an answer would take about")


def test_a_row_that_does_not_pack_is_refused_before_it_is_read() -> None:
    """Where it would wait for the thread, whatever its neighbours do."""
    unread = arrived(b'{"a": null}', x_request_timeout_ms="500")
    packed = arrived(ROW, x_request_timeout_ms="500")
    refused, answered = asked(lambda: busy(app(inline_rows=0)), unread, packed)
    assert parsed(refused)[0] == 503
    assert parsed(answered)[0] == 200
