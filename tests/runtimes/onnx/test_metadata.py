"""What a file's metadata says is honoured, and what is wrong in it is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from boxship import proof as proofs
from boxship.errors import ModelError
from boxship.proof import PROOF_KEY, Proof
from boxship.runtimes.onnx.metadata import ANSWERS_KEY, COLUMNS_KEY
from boxship.runtimes.onnx.runtime import OnnxRuntime
from boxship.signature import Answer, TensorSpec


def info(name: str, kind: int, width: int | None = 1) -> Any:
    return helper.make_tensor_value_info(name, kind, ["rows", width])


def matrix(folder: Path, metadata: dict[str, str], *, tail: bytes = b"") -> Path:
    """``y`` is the matrix ``x`` of two columns as it is."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [info("x", TensorProto.FLOAT, 2)],
        [info("y", TensorProto.FLOAT, 2)],
    )
    return save(folder, graph, metadata, tail)


def texts(folder: Path, metadata: dict[str, str]) -> Path:
    """``known`` says whether the text ``city`` is Oslo."""
    graph = helper.make_graph(
        [
            helper.make_node(
                "LabelEncoder",
                ["city"],
                ["known"],
                domain="ai.onnx.ml",
                keys_strings=["Oslo", "gone"],
                values_int64s=[1, 2],
                default_int64=0,
            )
        ],
        "g",
        [info("city", TensorProto.STRING)],
        [info("known", TensorProto.INT64)],
    )
    return save(folder, graph, metadata, b"")


def save(folder: Path, graph: Any, metadata: dict[str, str], tail: bytes) -> Path:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, metadata)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString() + tail)
    return path


def columns(*said: Any) -> dict[str, str]:
    return {COLUMNS_KEY: json.dumps(said)}


def test_columns_are_described(tmp_path: Path) -> None:
    path = matrix(
        tmp_path,
        columns({"name": "age", "example": 42, "nullable": True, "description": "in years"}, "b"),
    )
    signature = OnnxRuntime(path).signature
    assert signature.columns == (
        TensorSpec(
            name="age", datatype="FP32", nullable=True, description="in years", example=42.0
        ),
        TensorSpec(name="b", datatype="FP32", example=0.0),
    )


def test_what_the_project_declares_goes_before_it(tmp_path: Path) -> None:
    path = matrix(tmp_path, columns({"name": "age", "example": 42}, {"name": "b", "example": 1}))
    declared = [
        TensorSpec(name="age", datatype="FP32", example=7, description="mine"),
        TensorSpec(name="b", datatype="FP32"),
    ]
    found = OnnxRuntime(path, inputs=declared).signature.columns or ()
    assert [(spec.example, spec.description) for spec in found] == [(7.0, "mine"), (1.0, "")]


def test_a_missing_text_travels_as_the_one_that_stands_for_it(tmp_path: Path) -> None:
    path = texts(tmp_path, columns({"name": "city", "nullable": True, "missing": "gone"}))
    runtime = OnnxRuntime(path)
    batch = {"city": np.array([["Oslo"], [None], ["Rome"]], dtype=object)}
    assert runtime.run(batch)["known"].reshape(-1).tolist() == [1, 2, 0]
    assert batch["city"][1, 0] is None


def test_answers_are_those_that_the_file_names(tmp_path: Path) -> None:
    said = [
        {"name": "score", "output": "y", "index": 1, "description": "of the second"},
        {"name": "scores", "output": "y", "classes": ["no", "yes"]},
    ]
    path = matrix(tmp_path, {ANSWERS_KEY: json.dumps(said)})
    assert OnnxRuntime(path).signature.answers == (
        Answer(name="score", output="y", index=1, description="of the second"),
        Answer(name="scores", output="y", classes=("no", "yes")),
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{", "no JSON list of objects with a `name` and an `output`"),
        ('["score"]', "no JSON list of objects with a `name` and an `output`"),
        ('[{"name": "score"}]', "no JSON list of objects with a `name` and an `output`"),
        ('[{"name": "a", "output": "z"}]', "reads `a` from `z`, which is no output"),
        ('[{"name": "a", "output": "y", "index": 2}]', "an output with a last axis of 2"),
        ('[{"name": "a", "output": "y", "index": true}]', "something unreadable of `a`"),
        ('[{"name": "a", "output": "y", "classes": "no"}]', "something unreadable of `a`"),
        ('[{"name": "a", "output": "y", "classes": ["no"]}]', "an output with a last axis of 2"),
        ('[{"name": "a", "output": "y"}, {"name": "a", "output": "y"}]', "names an answer twice"),
    ],
)
def test_answers_that_do_not_fit_are_told(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(ModelError) as caught:
        OnnxRuntime(matrix(tmp_path, {ANSWERS_KEY: said}))
    assert caught.value.message.startswith("The model's metadata `boxship.answers` ")
    assert why in caught.value.message


@pytest.mark.parametrize(
    "said", ['[{"nullable": true}]', '[{"name": "a", "nullable": 1}]', "[1]", "7"]
)
def test_columns_that_cannot_be_read_are_told(tmp_path: Path, said: str) -> None:
    with pytest.raises(ModelError, match=r"`boxship\.columns` is no JSON list of strings"):
        OnnxRuntime(matrix(tmp_path, {COLUMNS_KEY: said}))


PROOF = Proof(
    source="churn.pkl",
    source_digest="sha256:" + "ab" * 32,
    graph="",
    samples="generated from the model",
    rows=10,
    refused=0,
    undecided=0,
    largest_absolute=0.0,
    largest_relative=0.0,
    labels_that_differ=0,
    tolerance=1e-4,
    datatype="FP32",
    versions={},
)


def proven(folder: Path) -> Path:
    content = matrix(folder, {}).read_bytes()
    proof = Proof(**(vars(PROOF) | {"graph": proofs.digest(content)}))
    return matrix(folder, {}, tail=proofs.entry(proofs.to_json(proof)))


def test_the_proof_is_shown(tmp_path: Path) -> None:
    runtime = OnnxRuntime(proven(tmp_path))
    assert runtime.proof is not None
    assert runtime.proof.source == "churn.pkl"
    assert runtime.notes == (
        "converted from churn.pkl (sha256:abababababab…): 10 rows agree exactly, no label differs",
    )


def test_a_file_without_a_proof_says_nothing(tmp_path: Path) -> None:
    runtime = OnnxRuntime(matrix(tmp_path, {}))
    assert (runtime.proof, runtime.notes) == (None, ())


def test_a_file_that_was_changed_has_no_proof_any_more(tmp_path: Path) -> None:
    path = proven(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Identity", b"Softplus"))
    runtime = OnnxRuntime(path)
    assert runtime.proof is None
    (note,) = runtime.notes
    assert note.startswith("model.onnx was changed since it was converted from churn.pkl")


def test_a_proof_that_cannot_be_read_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    runtime = OnnxRuntime(matrix(tmp_path, {PROOF_KEY: '{"version": 9}'}))
    assert runtime.proof is None
    (note,) = runtime.notes
    assert "cannot be read: its version is not 1. Convert the model again." in note
