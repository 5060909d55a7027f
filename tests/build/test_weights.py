"""How a model gets into the container, and why."""

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
