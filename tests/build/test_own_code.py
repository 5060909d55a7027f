"""What of a project's own files an image has: what serves it there, and nothing else."""

from pathlib import Path

import pytest
from support.images import MakeProject, planned

from boxship import project
from boxship.build import own_code
from boxship.build.layer_cache import LayerCache
from boxship.errors import UsageError
from boxship.project import Project

MODEL = 'model = "churn.onnx"\n'
GOLDEN = '{"inputs": {}, "outputs": {}}'


def shipped(found: Project) -> list[str]:
    return [entry.path for entry in own_code.entries(found)]


def in_pyproject(found: Project, settings: str) -> Project:
    """The same project with its settings in pyproject.toml alone."""
    folder = found.folder
    (folder / "boxship.toml").unlink()
    table = settings.replace("[image]", "[tool.boxship.image]")
    (folder / "pyproject.toml").write_text(f"[tool.boxship]\n{table}")
    return project.resolve(None, flags={}, environ={}, cwd=folder).project


def test_settings_in_pyproject_are_shipped(
    make_project: MakeProject, cache: LayerCache, base: Path
) -> None:
    settings = f'{MODEL}[image]\nbase = "oci:{base}"\n'
    plan = planned(in_pyproject(make_project(MODEL), settings), cache)
    assert [entry.path for entry in plan.code] == ["app/pyproject.toml"]


def test_a_pyproject_without_settings_is_not(make_project: MakeProject) -> None:
    found = make_project(MODEL, **{"pyproject.toml": "[project]\n"})
    assert shipped(found) == ["app/boxship.toml"]


def test_settings_that_do_not_hold_are_not_shipped(make_project: MakeProject) -> None:
    """A model by itself has no settings, whatever lies where it was named."""
    folder = make_project(MODEL).folder
    found = project.resolve("churn.onnx", flags={}, environ={}, cwd=folder).project
    assert shipped(found) == []


@pytest.mark.parametrize("name", ["g/golden.json", "./x/../g/golden.json"])
def test_a_golden_request_is_shipped_where_it_is_named(
    make_project: MakeProject, cache: LayerCache, name: str
) -> None:
    found = make_project(f'{MODEL}golden = "{name}"\n', **{"g__golden.json": GOLDEN})
    plan = planned(found, cache)
    assert [entry.path for entry in plan.code] == ["app/boxship.toml", "app/g/golden.json"]
    assert plan.code[1].content == found.folder / "g/golden.json"


def test_a_golden_request_beside_the_model_goes_with_it(
    make_project: MakeProject, cache: LayerCache
) -> None:
    plan = planned(make_project(MODEL, **{"golden.json": GOLDEN}), cache)
    assert [entry.path for entry in plan.code] == ["app/boxship.toml"]
    assert "models/golden.json" in [entry.path for entry in plan.weights.files]


def test_a_golden_request_of_a_model_that_is_elsewhere(make_project: MakeProject) -> None:
    found = make_project('model = "s3://models/churn.onnx"\n', **{"golden.json": GOLDEN})
    assert shipped(found) == ["app/boxship.toml", "app/golden.json"]


def test_a_golden_request_outside_of_the_project(make_project: MakeProject) -> None:
    (make_project(MODEL).folder.parent / "golden.json").write_text(GOLDEN)
    found = make_project(f'{MODEL}golden = "../golden.json"\n')
    with pytest.raises(UsageError, match=r"golden\.json: expected a file in .*project, found one"):
        own_code.entries(found)
