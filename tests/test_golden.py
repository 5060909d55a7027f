"""The golden request, as it is written."""

from pathlib import Path
from typing import Any

import pytest

from boxship import golden
from boxship.golden import GoldenRequest

V2 = [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1, 2]}]
HERE = Path()


def problems(content: dict[str, Any]) -> list[str]:
    found: list[str] = []
    golden.read(content, HERE, HERE, found)
    return found


def test_a_sound_one() -> None:
    found: list[str] = []
    content = {"inputs": {"x": 1}, "outputs": {"value": 2}, "tolerance": 0}
    assert golden.read(content, HERE, HERE, found) == GoldenRequest({"x": 1}, {"value": 2}, 0.0)
    assert found == []


@pytest.mark.parametrize("tolerance", [-1, True, "0.1", None, float("nan"), float("inf")])
def test_a_tolerance_that_is_none(tolerance: Any) -> None:
    assert problems({"inputs": {}, "outputs": {}, "tolerance": tolerance}) == [
        f"golden: tolerance: expected a number of at least 0, found {tolerance!r}"
    ]


@pytest.mark.parametrize("outputs", [{"value": [2, 4]}, [], [[2, 4]], [{"data": [2, 4]}], None])
def test_tensors_are_answered_with_tensors(outputs: Any) -> None:
    """Outputs in another shape are a mistake of the file's, told before any model is loaded."""
    (found,) = problems({"inputs": V2, "outputs": outputs})
    assert found.startswith("golden: outputs: expected a list of V2 tensors")
    assert problems({"inputs": V2, "outputs": [{"name": "value", "data": [2, 4]}]}) == []
