"""What converters give is made into what the original answers, or refused."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from boxship.convert.edits import tensor_info
from boxship.convert.errors import ConversionError
from boxship.convert.outputs import PROBE_ROWS, put_outputs
from boxship.signature import Signature, TensorSpec

INPUT = TensorSpec(name="input", datatype="FP32", shape=(-1, 2))
ROWS = np.arange(2 * PROBE_ROWS, dtype=np.float32).reshape(PROBE_ROWS, 2)


def outputs(*specs: TensorSpec) -> Signature:
    return Signature(inputs=(INPUT,), outputs=specs, matrix=INPUT)


def spec(name: str, *shape: int, datatype: Any = "FP64") -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=(-1, *shape))


def identity(**given: Any) -> tuple[Any, dict[str, Any]]:
    """A graph whose outputs are its inputs ``input_NAME``, and what they are."""
    nodes = [helper.make_node("Identity", [f"input_{name}"], [name]) for name in given]
    made = helper.make_graph(
        nodes,
        "g",
        [info(f"input_{name}", array) for name, array in given.items()],
        [info(name, array) for name, array in given.items()],
    )
    return made, given


def info(name: str, array: Any) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, list(array.shape))


def put(signature: Signature, **given: Any) -> dict[str, Any]:
    """The outputs after the edit, by name."""
    made, arrays = identity(**given)
    names = put_outputs(made, signature, arrays)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    needed = {one.name for one in made.input}
    feed = {f"input_{name}": array for name, array in arrays.items()}
    answers = ReferenceEvaluator(model).run(None, {k: v for k, v in feed.items() if k in needed})
    return dict(zip(names, answers, strict=True))


LABELS = np.arange(PROBE_ROWS)


def test_a_column_of_values_becomes_flat() -> None:
    found = put(outputs(spec("value")), variable=ROWS[:, :1])
    assert found["value"].tolist() == ROWS[:, 0].tolist()


@pytest.mark.parametrize("name", ["score", "decision"])
def test_of_two_classes_the_second_is_taken(name: str) -> None:
    found = put(outputs(spec(name), spec("label", datatype="INT64")), label=LABELS, p=ROWS)
    assert found[name].tolist() == ROWS[:, 1].tolist()
    assert found["label"].tolist() == LABELS.tolist()


@pytest.mark.parametrize(("datatype", "dtype"), [("BOOL", np.bool_), ("FP64", np.float64)])
def test_labels_get_their_datatype(datatype: Any, dtype: Any) -> None:
    found = put(outputs(spec("label", datatype=datatype)), label=LABELS)
    assert found["label"].dtype == dtype


def test_a_label_that_lies_is_put_upright() -> None:
    found = put(outputs(spec("label", datatype="INT64")), label=LABELS.reshape(1, -1))
    assert found["label"].shape == (PROBE_ROWS,)


def test_outputs_before_rows_are_turned() -> None:
    cube = np.arange(3.0 * PROBE_ROWS * 2).reshape(3, PROBE_ROWS, 2)
    signature = outputs(spec("label", 3, datatype="INT64"), spec("scores", 3, 2))
    found = put(signature, label=np.zeros((PROBE_ROWS, 3), dtype=np.int64), p=cube)
    assert found["scores"].tolist() == cube.transpose(1, 0, 2).tolist()


def test_matrices_of_other_widths_are_cut() -> None:
    cube = np.arange(2.0 * PROBE_ROWS * 3).reshape(2, PROBE_ROWS, 3)
    signature = outputs(
        spec("label", 2, datatype="INT64"), spec("scores_1", 2), spec("scores_2", 3)
    )
    found = put(signature, label=np.zeros((PROBE_ROWS, 2), dtype=np.int64), p=cube)
    assert found["scores_1"].tolist() == cube[0, :, :2].tolist()
    assert found["scores_2"].tolist() == cube[1].tolist()


def test_probabilities_of_absence_are_left_out() -> None:
    wide = np.arange(4.0 * PROBE_ROWS).reshape(PROBE_ROWS, 4)
    signature = outputs(spec("label", 2, datatype="INT64"), spec("scores", 2))
    found = put(signature, label=np.zeros((PROBE_ROWS, 2), dtype=np.int64), p=wide)
    assert found["scores"].tolist() == wide[:, 2:].tolist()


LABEL = spec("label", datatype="INT64")


@pytest.mark.parametrize(
    ("signature", "given", "found"),
    [
        (outputs(LABEL, spec("score")), {"label": LABELS}, "nothing but a label"),
        (outputs(LABEL, spec("score")), {"label": LABELS, "p": np.zeros((5, 3))}, "shape [5, 3]"),
        (outputs(LABEL, spec("scores", 3)), {"label": LABELS, "p": ROWS}, "shape [5, 2]"),
        (outputs(LABEL, spec("scores_2", 3)), {"label": LABELS, "p": ROWS}, "shape [5, 2]"),
        (
            outputs(LABEL, spec("scores_2", 3)),
            {"label": LABELS, "p": [ROWS, ROWS]},
            "matrices of other shapes",
        ),
        (outputs(LABEL, spec("scores", 2, 3)), {"label": LABELS, "p": [ROWS]}, "1 matrices"),
    ],
)
def test_what_fits_nothing_is_refused(
    signature: Signature, given: dict[str, Any], found: str
) -> None:
    made = helper.make_graph(
        [],
        "g",
        [tensor_info("x", TensorProto.FLOAT, (-1, 1))],
        [tensor_info(name, TensorProto.FLOAT, (-1, 1)) for name in given],
    )
    with pytest.raises(ConversionError) as caught:
        put_outputs(made, signature, given)
    assert "Expected the converter to give `score" in caught.value.message
    assert found in caught.value.message
