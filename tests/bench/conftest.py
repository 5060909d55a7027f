"""The benchmark's modules are no package: their folder must be on the path."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT / "bench"))

from payload import Payload  # noqa: E402 (its folder is on the path only now)

Asking = Callable[..., Payload]


@pytest.fixture
def answering() -> Iterator[int]:
    """The port of a small HTTP server; ``answering.py`` says what it answers."""
    argv = [sys.executable, str(Path(__file__).parent / "answering.py")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()


@pytest.fixture
def asking() -> Asking:
    """``asking({"row": 1}, …)``: bodies for the small server; the right score is the row."""

    def make(*bodies: dict[str, Any]) -> Payload:
        def is_right(index: int, answer: bytes) -> bool:
            return bool(json.loads(answer)["score"] == bodies[index]["row"])

        sent = [json.dumps(body).encode() for body in bodies]
        return Payload(path="/", bodies=sent, is_right=is_right)

    return make
