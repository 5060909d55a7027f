"""No setup is run for a lock that nobody let it run, and who needs one is told the way out."""

import subprocess
from pathlib import Path

import pytest
from support.images import MakeProject, locked, make_wheel

from boxship.build.layers.layer_cache import LayerCache
from boxship.errors import BuildError, UsageError
from boxship.project import Project

MODEL = 'model = "churn.onnx"\n'
# It leaves a mark where it is run.
SETUP = """\
from pathlib import Path
from setuptools import setup
Path({mark!r}).write_text("it was run")
setup(name="pkg", version="1")
"""
PROJECT = '[project]\nname = "churn"\nversion = "1"\n'


def with_folder(make_project: MakeProject, tmp_path: Path, **files: str) -> Project:
    setup = SETUP.format(mark=str(tmp_path / "mark"))
    return make_project(MODEL, **{"pkg__setup_py": setup, **files})


@pytest.mark.parametrize("sources", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        "-e ./pkg",
        "--editable=pkg",
        "-e git+https://bob:word@h.test/a",
        "./pkg",
        "pkg/",
        "./pkg[more] ; python_version > '3'",
        "pkg @ ./pkg",
        "pkg @ file://${PROJECT_ROOT}/pkg",
    ],
)
def test_a_folder_is_refused_before_its_setup_is_run(
    make_project: MakeProject,
    cache: LayerCache,
    tmp_path: Path,
    line: str,
    sources: bool,  # noqa: FBT001
) -> None:
    project = with_folder(make_project, tmp_path, requirements_txt=f"{line}\n")
    with pytest.raises(UsageError, match=r"requirements\.txt: expected packages of an") as caught:
        locked(project, cache, sources=sources)
    assert f"found {line.replace('bob:word@', '')}: to install" in caught.value.message
    assert "`code`" in caught.value.tip
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "source", ['{ path = "pkg" }', '[{ path = "pkg", editable = true }]', "{ workspace = true }"]
)
def test_a_folder_that_uvs_table_names(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path, source: str
) -> None:
    text = f'{PROJECT}dependencies = ["Pkg>=1"]\n[tool.uv.sources]\npkg = {source}\n'
    project = with_folder(make_project, tmp_path, **{"pyproject.toml": text})
    with pytest.raises(UsageError, match=r"pyproject\.toml: .* found pkg in \[tool\.uv\.sources\]"):
        locked(project, cache)
    assert not (tmp_path / "mark").exists()


def test_dependencies_that_only_a_setup_tells(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    text = f'{PROJECT}dynamic = ["dependencies"]\n'
    project = with_folder(make_project, tmp_path, **{"pyproject.toml": text})
    with pytest.raises(UsageError, match="found that they are dynamic") as caught:
        locked(project, cache)
    assert "requirements.txt" in caught.value.tip


def test_a_repository_has_no_wheel(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    project = with_folder(make_project, tmp_path)
    folder = project.folder / "pkg"
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@a.test"]
    for argv in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *argv], cwd=folder, check=True)
    (folder.parent / "requirements.txt").write_text(f"pkg @ git+{folder.as_uri()}\n")
    with pytest.raises(BuildError, match="`pkg` is disabled") as caught:
        locked(project, cache)
    assert "pip wheel --no-deps" in caught.value.tip
    assert not (tmp_path / "mark").exists()


def test_what_only_looks_like_a_folder(
    make_project: MakeProject, cache: LayerCache, tmp_path: Path
) -> None:
    """A name is one of an index, even where a folder beside it is called the same."""
    file, data = make_wheel("acme-own", "1.0", {"acme_own.py": ""})
    text = f"./{file} ; python_version > '3'\nsix\n-c limits/pins.txt\n"
    project = with_folder(
        make_project, tmp_path, requirements_txt=text, six__a="", limits__pins_txt="six<2\n"
    )
    (project.folder / file).write_bytes(data)
    whole = locked(project, cache)
    assert whole.requirements is not None
    (wheels,) = whole.requirements.wheels.values()
    assert {"acme-own", "six"} <= {one.name for one in wheels}
