"""Engines: the first that answers is taken, and it really has what it was given."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Need
from support.registry import small_image

from boxship.errors import ImageError
from boxship.oci import engine
from boxship.oci.blobs import Blobs

Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """``program("docker", "exit 1")``: the only programs that can be found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


def test_without_an_engine_it_says_so(program: Program) -> None:
    with pytest.raises(ImageError) as caught:
        engine.find()
    assert caught.value.message == (
        "Expected docker or podman, found none that answers: "
        "docker: no such command; podman: no such command."
    )
    assert "oci:DIR" in caught.value.tip


def test_why_an_engine_does_not_answer_is_said(program: Program) -> None:
    program("docker", "echo Client: 1 >&2; echo 'Cannot connect to the daemon.' >&2; exit 1")
    program("podman", "exit 7")
    with pytest.raises(ImageError) as caught:
        engine.find()
    assert caught.value.message == (
        "Expected docker or podman, found none that answers: "
        "docker: Cannot connect to the daemon; podman: exit code 7."
    )


def test_an_old_docker_without_its_daemon_does_not_answer(program: Program) -> None:
    """It says so in what it prints alone."""
    program("docker", """echo '{"ServerErrors": ["Cannot connect"]}'""")
    with pytest.raises(ImageError, match="Expected docker, found none"):
        engine.find("docker")


def test_the_first_that_answers_is_taken(program: Program) -> None:
    program("podman", "echo {}")
    assert engine.find().kind == "podman"
    program("docker", "echo {}")
    assert engine.find().kind == "docker"
    assert engine.find("podman").kind == "podman"
    program("docker", "exit 1")
    assert engine.find().kind == "podman"


def test_what_an_engine_says_of_a_failure_is_shown(program: Program) -> None:
    program("docker", "[ $1 = info ] || { echo no space left >&2; exit 125; }")
    with pytest.raises(ImageError, match=r"^docker load: no space left$"):
        engine.find().run("load", "--input", "nothing")


@pytest.fixture
def podman(need: Need, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[engine.Engine]:
    """Podman with a store of its own, which nobody else uses."""
    real = need.program("podman")
    script = tmp_path / "podman"
    # Podman takes no long path for what runs.
    with tempfile.TemporaryDirectory(prefix="podman-") as short:
        store = f"--root {tmp_path / 'root'} --runroot {short} --storage-driver vfs"
        script.write_text(f'#!/bin/sh\nexec {real} {store} "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        try:
            found = engine.find("podman")
        except ImageError as error:
            pytest.skip(f"needs a Podman that works: {error}")
        yield found


@pytest.mark.optional_part("a container may not run containers")
def test_podman_has_what_it_was_given(podman: engine.Engine, blobs: Blobs) -> None:
    made = small_image(blobs, {"etc/words": b"1"}, base=small_image(blobs, {"a": b"2"}))
    podman.load(made, blobs, "registry.example/churn:7")
    (shown,) = json.loads(podman.run("image", "inspect", "registry.example/churn:7"))
    assert shown["Id"] == made.config_blob.digest.removeprefix("sha256:")
    assert shown["RootFS"]["Layers"] == [layer.diff_id for layer in made.layers]
