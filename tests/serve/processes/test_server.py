"""What a server sees to before it starts."""

import os
import tempfile
from pathlib import Path

import pytest

from boxship.errors import BoxshipError
from boxship.serve.processes import server


def no_temporary_folder() -> str:
    raise FileNotFoundError("No usable temporary directory found")


def test_a_read_only_root_leaves_shared_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server, "_SHARED_MEMORY", str(tmp_path))
    monkeypatch.setattr(tempfile, "gettempdir", no_temporary_folder)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("TMPDIR", raising=False)
    server.have_temporary_folder()
    assert (os.environ["TMPDIR"], tempfile.tempdir) == (str(tmp_path), str(tmp_path))


def test_no_place_at_all_is_told_with_what_to_mount(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server, "_SHARED_MEMORY", str(tmp_path / "nowhere"))
    monkeypatch.setattr(tempfile, "gettempdir", no_temporary_folder)
    with pytest.raises(BoxshipError, match="found none in") as caught:
        server.have_temporary_folder()
    assert "docker run --tmpfs /tmp" in caught.value.tip
