"""What every test may ask for: parts of the machine that can be missing.

A part that is missing skips the test that needs it. In CI, where ``BOXSHIP_CI=1``, nothing
may be missing, so there a skip is a failure, except in tests marked ``optional_part``.
"""

import importlib
import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.serving import Server

# Taken out of the environment: Boxship itself does not know it, and would warn of it.
NOTHING_MAY_BE_MISSING = os.environ.pop("BOXSHIP_CI", "") == "1"


class Need:
    """Finds a part of the machine, or skips the test and says what to install."""

    def program(self, name: str) -> Path:
        """The path of a program."""
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"needs the program '{name}': install it")
        return Path(found)

    def module(self, name: str) -> ModuleType:
        """A module, imported."""
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            pytest.skip(f"needs the module '{name}' ({error}): run 'make venv'")


@pytest.fixture(scope="session")
def need() -> Need:
    """``need.program("haproxy")``, ``need.module("kserve")``."""
    return Need()


Serve = Callable[..., Server]


def serving(folder: Path) -> Iterator[Serve]:
    """Start servers, and end whatever of them still runs afterwards."""
    started: list[Server] = []

    def start(*arguments: str | Path, ready: bool = True, **options: Any) -> Server:
        server = Server([str(one) for one in arguments], **{"cwd": folder, **options})
        started.append(server)
        return server.wait_until_ready() if ready else server

    yield start
    for server in started:
        server.client.close()
        if server.process.poll() is None:
            end_at_once(server)


def end_at_once(server: Server) -> None:
    """Signal twice: the first alone would wait for the drain delay."""
    for _ in range(30):
        server.process.terminate()
        try:
            server.process.wait(1)
        except subprocess.TimeoutExpired:
            continue
        return
    server.process.kill()
    server.process.wait()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """``serve("model.pkl", "--workers", "2")``: a ready server for one test."""
    yield from serving(tmp_path)


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The same, for servers that all tests of a file share."""
    yield from serving(tmp_path_factory.mktemp("serving"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be missing."""
    report = yield
    optional = item.get_closest_marker("optional_part") is not None
    expected_to_fail = hasattr(report, "wasxfail")
    if NOTHING_MAY_BE_MISSING and report.skipped and not optional and not expected_to_fail:
        fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole file into a failure where nothing may be missing."""
    report = yield
    if NOTHING_MAY_BE_MISSING and report.skipped:
        fail(report)
    return report


def fail(report: Any) -> None:
    """Make a skipped report a failed one that gives the skip's reason."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{reason}\nBOXSHIP_CI=1 allows no skip outside tests marked optional_part."
