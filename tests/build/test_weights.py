"""How a model gets into the container, and why."""

from pathlib import Path

import onnx
import pytest
from support.images import MakeProject

from boxship.build import weights
from boxship.errors import BuildError
from boxship.lock import LockedModel

MODEL = 'model = "churn.onnx"\n'
DIGEST = "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (f'{MODEL}[image]\nweights = "fetch"\n', "expected an address to fetch the model from"),
        (
            'model = "https://h.test/m.onnx"\n[image]\nweights = "bake"\n',
            "expected a model file to bake",
        ),
    ],
)
def test_a_delivery_that_cannot_be(make_project: MakeProject, settings: str, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        weights.decide(make_project(settings), LockedModel("churn", DIGEST, 5))


def test_a_model_with_an_address_is_fetched(make_project: MakeProject) -> None:
    model = LockedModel("https://h.test/m.onnx", DIGEST, 5)
    found = weights.decide(make_project('model = "https://h.test/m.onnx"\n'), model)
    assert (found.delivery, found.files) == ("fetch", ())
    assert found.location == f"https://h.test/m.onnx@{DIGEST}"


@pytest.mark.parametrize(
    ("size", "delivery", "why", "baked"),
    [
        (99_999_999, "bake", "it is under 100 MB", ["models/churn.onnx"]),
        (100_000_000, "mount", "it is not under 100 MB: mount it at /models", []),
    ],
)
def test_a_large_model_is_mounted(
    make_project: MakeProject, size: int, delivery: str, why: str, baked: list[str]
) -> None:
    found = weights.decide(make_project(MODEL), LockedModel("churn.onnx", DIGEST, size))
    assert (found.delivery, found.why) == (delivery, why)
    assert [entry.path for entry in found.files] == baked
    assert found.location == "/models/churn.onnx"


def name_external(path: Path, location: str) -> None:
    """Have the ONNX file at ``path`` keep a weight in the file beside it of that name."""
    model = onnx.load(path)
    model.graph.initializer.add().external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("weight", ["bake", "image-volume"])
def test_a_secret_that_a_model_names_as_its_own(make_project: MakeProject, weight: str) -> None:
    settings = f'{MODEL}[image]\nweights = "{weight}"\n'
    project = make_project(settings, **{".env": "TOKEN=hunter2"})
    name_external(project.folder / "churn.onnx", ".env")
    model = LockedModel("churn.onnx", DIGEST, 5)
    with pytest.raises(BuildError, match=r"no secrets among the model's files, found: .*/\.env\."):
        weights.decide(project, model)
    found = weights.decide(make_project(f'{settings}allow = [".env"]\n'), model)
    assert [Path(entry.path).name for entry in (*found.files, *found.volume)] == [
        "churn.onnx",
        ".env",
    ]


def test_a_secret_in_a_folder_that_is_a_model(make_project: MakeProject) -> None:
    project = make_project('model = "m"\n', **{"m__.aws__config": "", "m__link": "", "m__a": ""})
    (project.folder / "m/link").unlink()
    (project.folder / "m/link").symlink_to(project.folder / "m/.aws/id_rsa")
    (project.folder / "m/.aws/id_rsa").write_text("hunter2")
    model = LockedModel("m", DIGEST, 5)
    with pytest.raises(BuildError, match=r"found: \S+/m/\.aws, \S+/m/link\."):
        weights.decide(project, model)
    allowed = make_project('model = "m"\n[image]\nallow = ["m/.aws", "m/link"]\n')
    assert len(weights.decide(allowed, model).files) == 4
