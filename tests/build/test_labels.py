"""What an image says of itself: where it is from, and what its model takes and gives."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import models
from support.images import MakeProject, in_registry, locked

from boxship.build import dockerfile, labels, plan as plans
from boxship.build.layers.layer_cache import LayerCache
from boxship.project import Project

MODEL = 'model = "churn.onnx"\n'
Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Git in the project's folder, with no settings but its own."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]

    def run(*arguments: str) -> str:
        folder = tmp_path / "project"
        done = subprocess.run(
            ["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    return run


def told(project: Project, cache: LayerCache) -> dict[str, str]:
    lock = locked(project, cache)
    assert lock.base is not None
    return dict(labels.of(project, lock, lock.base))


def test_the_model_and_what_it_takes(make_project: MakeProject, cache: LayerCache) -> None:
    found = told(make_project(f'{MODEL}name = "churn"\nversion = "7"\n'), cache)
    assert found["org.opencontainers.image.title"] == "churn"
    assert found["org.opencontainers.image.version"] == "7"
    assert found["boxship.model.location"] == "churn.onnx"
    assert found["boxship.model.digest"].startswith("sha256:")
    assert json.loads(found["boxship.model.signature"]) == {
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "image_out", "datatype": "FP32", "shape": [-1, 2]}],
    }
    assert "org.opencontainers.image.revision" not in found


def test_a_pickle_is_not_run_for_its_signature(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    """What boxship.toml declares is known without it."""
    settings = 'model = "churn.pkl"\n[[inputs]]\nname = "age"\n'
    (tmp_path / "project").mkdir()
    models.save_pickle(models.named_classifier(), tmp_path / "project").rename(
        tmp_path / "project" / "churn.pkl"
    )
    project = make_project(settings)
    assert json.loads(told(project, cache)["boxship.model.signature"]) == {
        "inputs": [{"name": "age", "datatype": "FP64", "shape": [-1, 1]}]
    }


def test_the_commit_and_where_it_is_from(
    make_project: MakeProject, cache: LayerCache, git: Git
) -> None:
    project = make_project(MODEL)
    git("init")
    assert "org.opencontainers.image.revision" not in told(project, cache)
    git("add", "churn.onnx", "boxship.toml")
    assert "org.opencontainers.image.revision" not in told(project, cache), "nothing committed"
    git("commit", "--message", "A model")
    git(
        "remote",
        "add",
        "origin",
        "https://ada:secret@example.org/models/churn.git?private_token=secret",
    )
    commit = git("rev-parse", "HEAD")
    found = told(project, cache)
    assert found["org.opencontainers.image.revision"] == commit
    assert found["org.opencontainers.image.source"] == "https://example.org/models/churn.git"
    (project.folder / "boxship.toml").write_text(
        (project.folder / "boxship.toml").read_text() + "\n"
    )
    assert told(project, cache)["org.opencontainers.image.revision"] == f"{commit}-dirty"


def test_a_folder_that_the_repository_around_it_does_not_know(
    make_project: MakeProject, cache: LayerCache, git: Git
) -> None:
    project = make_project(MODEL, other_txt="")
    git("init", "..")
    git("commit", "--allow-empty", "--message", "Nothing of the project")
    assert "org.opencontainers.image.revision" not in told(project, cache)


def test_a_dockerfile_says_the_same(make_project: MakeProject, cache: LayerCache) -> None:
    project = make_project(f'{MODEL}name = "churn"\n')
    plan = plans.decide(project, locked(project, cache))
    text = dockerfile.render(in_registry(plan), plan.platforms[0], "boxship.whl")
    assert 'org.opencontainers.image.title="churn" \\\n' in text
