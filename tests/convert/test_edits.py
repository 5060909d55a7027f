"""Edits leave a graph that means the same, whatever its tensors are called."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from boxship.convert.edits import Edit, tensor_info

ROWS = np.array([[1.0], [2.0]], dtype=np.float32)


def graph(*nodes: Any, outputs: list[str], inputs: tuple[str, ...] = ("x",)) -> Any:
    return helper.make_graph(
        list(nodes),
        "g",
        [tensor_info(name, TensorProto.FLOAT, (-1, 1)) for name in inputs],
        [tensor_info(name, TensorProto.FLOAT, (-1, 1)) for name in outputs],
    )


def run(made: Any, **feed: Any) -> Any:
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return ReferenceEvaluator(model).run(None, feed)


def output(made: Any, name: str) -> None:
    del made.output[:]
    made.output.append(tensor_info(name, TensorProto.FLOAT, (-1, 1)))


def test_a_tensor_is_called_otherwise() -> None:
    made = graph(helper.make_node("Neg", ["x"], ["y"]), outputs=["y"])
    output(made, Edit(made).call("y", "value"))
    assert [one.name for one in made.output] == ["value"]
    assert run(made, x=ROWS)[0].tolist() == [[-1.0], [-2.0]]


def test_another_tensor_of_that_name_gives_way() -> None:
    made = graph(
        helper.make_node("Neg", ["x"], ["value"]),
        helper.make_node("Exp", ["value"], ["y"]),
        outputs=["y"],
    )
    output(made, Edit(made).call("y", "value"))
    assert np.allclose(run(made, x=ROWS)[0], np.exp(-ROWS))


def test_a_name_that_is_kept_for_an_input_is_not_taken() -> None:
    made = graph(helper.make_node("Neg", ["x"], ["y"]), outputs=["y"])
    assert Edit(made, kept=["label"]).call("y", "label") == "label_2"


def test_an_input_that_is_an_output_too_stays_an_input() -> None:
    made = graph(helper.make_node("Neg", ["x"], ["y"]), outputs=["y"])
    output(made, Edit(made).call("x", "value"))
    assert run(made, x=ROWS)[0].tolist() == ROWS.tolist()


@pytest.mark.parametrize("name", ["age", "y"], ids=["free", "an inner tensor's"])
def test_an_input_is_fed_by_another_name(name: str) -> None:
    made = graph(
        helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Exp", ["y"], ["z"]), outputs=["z"]
    )
    Edit(made, kept=[name]).feed("x", name)
    del made.input[:]
    made.input.append(tensor_info(name, TensorProto.FLOAT, (-1, 1)))
    assert np.allclose(run(made, **{name: ROWS})[0], np.exp(-ROWS))


def test_an_input_of_another_datatype_is_cast() -> None:
    made = graph(helper.make_node("Neg", ["x"], ["y"]), outputs=["y"])
    Edit(made, kept=["vip"]).feed("x", "vip", TensorProto.FLOAT)
    del made.input[:]
    made.input.append(tensor_info("vip", TensorProto.BOOL, (-1, 1)))
    assert run(made, vip=np.array([[True], [False]]))[0].tolist() == [[-1.0], [0.0]]


def test_names_inside_a_branch_are_changed_too() -> None:
    branches = {
        name: helper.make_graph(
            [helper.make_node(kind, ["x"], [f"out_{name}"])],
            name,
            [],
            [tensor_info(f"out_{name}", TensorProto.FLOAT, (-1, 1))],
        )
        for name, kind in (("then_branch", "Neg"), ("else_branch", "Exp"))
    }
    made = graph(
        helper.make_node("Constant", [], ["yes"], value_ints=[1]),
        helper.make_node("Cast", ["yes"], ["true"], to=TensorProto.BOOL),
        helper.make_node("If", ["true"], ["y"], **branches),
        outputs=["y"],
    )
    edit = Edit(made, kept=["age"])
    edit.feed("x", "age")
    del made.input[:]
    made.input.append(tensor_info("age", TensorProto.FLOAT, (-1, 1)))
    edit.drop_unused()
    assert run(made, age=ROWS)[0].tolist() == [[-1.0], [-2.0]]


def test_what_no_output_needs_is_dropped() -> None:
    made = graph(
        helper.make_node("Neg", ["x"], ["y"]),
        helper.make_node("Exp", ["x"], ["z"]),
        outputs=["y"],
    )
    edit = Edit(made)
    edit.constant([1, 2])
    edit.drop_unused()
    assert [node.op_type for node in made.node] == ["Neg"]
    assert not made.initializer
