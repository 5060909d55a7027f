"""The public base class."""

import asyncio
import subprocess
import sys

import pytest

from boxship import Service


def test_importing_service_imports_no_heavy_module() -> None:
    """A user's module imports it, and so does the supervisor, which must start at once."""
    code = "import boxship, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "boxship.service" in loaded
    assert not loaded & {"numpy", "msgspec", "pydantic", "asyncio", "dataclasses_json"}


def test_load_and_warmup_may_be_left_out() -> None:
    class Echo(Service):
        def predict(self, rows: list[int]) -> list[int]:
            return rows

    assert Echo().load("model.bin") is None
    assert Echo().warmup() is None


def test_predict_may_not_be_left_out() -> None:
    with pytest.raises(NotImplementedError, match="Service does not define predict"):
        Service().predict([])


def test_every_method_may_be_async() -> None:
    class Echo(Service):
        async def load(self, model_path: str | None) -> None:
            self.path = model_path

        async def predict(self, rows: list[int]) -> list[int]:
            return rows

    echo = Echo()
    asyncio.run(echo.load("here"))
    assert echo.path == "here"
    assert asyncio.run(echo.predict([1])) == [1]
