"""A build that is ended midway leaves nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.images import MakeProject, locked

from boxship.build.layers.layer_cache import LayerCache


@pytest.mark.parametrize(("ended", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_ends_a_build_leaves_nothing(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path, ended: signal.Signals, code: int
) -> None:
    project = make_project('model = "churn.onnx"\n')
    locked(project, cache)
    before = {one.name for one in project.folder.iterdir()}
    work = tmp_path / "cache" / "images" / "work"
    running = subprocess.Popen(
        [sys.executable, "-m", "boxship", "build", "-o", "oci:churn.oci"],
        cwd=project.folder,
        env={**os.environ, "BOXSHIP_CACHE": str(tmp_path / "cache")},
    )
    deadline = time.monotonic() + 60
    while not (work.is_dir() and any(work.iterdir())):
        assert running.poll() is None, "it ended before it could be ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(ended)
    assert running.wait(30) == code
    assert list(work.iterdir()) == []
    assert {one.name for one in project.folder.iterdir()} == before
