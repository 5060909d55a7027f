"""What tests of images share: a real registry, and a folder for logins that is theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Need
from support.registry import Registry, registry

from boxship.oci import patience
from boxship.oci.blobs import Blobs


@pytest.fixture(autouse=True)
def logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where logins are looked for, never those of who runs the tests; and no long pauses."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(patience, "_PAUSE_S", 0.01)
    return tmp_path / "docker"


@pytest.fixture
def running(need: Need, tmp_path: Path) -> Iterator[Registry]:
    """A registry that is open to all."""
    with registry(need.program("docker-registry"), tmp_path / "registry") as found:
        yield found


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def cache(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "cache")
