"""Bit-equality of OnnxRuntime with onnxruntime called directly, and what its signature says."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    StringTensorType,
)
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from boxship.errors import InputError, ModelError
from boxship.runtimes.onnx.runtime import OnnxRuntime
from boxship.signature import Answer, TensorSpec

IRIS = load_iris()
CANCER = load_breast_cancer()
DIABETES = load_diabetes()
SPECIES = IRIS.target_names[IRIS.target]
DATA = IRIS.data.astype(np.float32)

CLASSIFIERS = [
    make_pipeline(StandardScaler(), LogisticRegression()),
    RandomForestClassifier(5, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
]
IDS = ["logistic", "forest", "boosting"]


def convert(
    folder: Path,
    model: Any,
    width: int = 4,
    *,
    kind: Any = FloatTensorType,
    zipmap: bool = False,
) -> Path:
    final = model.steps[-1][1] if hasattr(model, "steps") else model
    options = {id(final): {"zipmap": zipmap}} if hasattr(final, "classes_") else None
    proto = convert_sklearn(
        model, initial_types=[("X", kind([None, width]))], options=options, target_opset=18
    )
    return save(folder, proto)


def save(folder: Path, proto: Any) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def direct(path: Path, feed: dict[str, Any]) -> list[Any]:
    """The same number of threads: it decides in which order a tree ensemble adds up."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, feed))


def graph(
    folder: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    *,
    doc: str = "",
    metadata: dict[str, str] | None = None,
    initializer: list[Any] | None = None,
) -> Path:
    made = helper.make_graph(nodes, "g", inputs, outputs, initializer or [])
    proto = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
        doc_string=doc,
    )
    proto.ir_version = 9
    helper.set_model_props(proto, metadata or {})
    return save(folder, proto)


def info(name: str, shape: Any, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize("rows", [1, 150])
@pytest.mark.parametrize("zipmap", [False, True], ids=["tensor", "zipmap"])
@pytest.mark.parametrize("labels", [IRIS.target, SPECIES], ids=["int", "str"])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=IDS)
def test_multiclass_classifiers_keep_their_outputs(
    tmp_path: Path, *, model: Any, labels: Any, zipmap: bool, rows: int
) -> None:
    model = copy.deepcopy(model).fit(IRIS.data, labels)
    path = convert(tmp_path, model, zipmap=zipmap)
    runtime = OnnxRuntime(path)
    label, scores = direct(path, {"X": DATA[:rows]})
    answer = runtime.run({"X": DATA[:rows]})
    names = [spec.name for spec in runtime.signature.outputs]
    assert list(answer) == names
    if zipmap:
        scores = np.array([[row[c] for c in model.classes_] for row in scores], dtype=np.float32)
    assert answer[names[0]].tolist() == label.tolist()
    assert answer[names[1]].dtype == np.float32
    assert np.array_equal(answer[names[1]], scores)
    assert np.abs(scores - model.predict_proba(IRIS.data[:rows])).max() < 1e-5
    said, probabilities = runtime.signature.outputs
    assert (said.datatype, said.shape) == ("BYTES" if labels is SPECIES else "INT64", (-1,))
    assert (probabilities.datatype, probabilities.shape) == ("FP32", (-1, 3))
    by_name = {answer.name: answer for answer in runtime.signature.answers}
    assert by_name["label"].output == names[0]
    assert by_name["scores"].output == names[1]
    assert by_name["scores"].classes == tuple(str(c) for c in model.classes_)


@pytest.mark.parametrize("zipmap", [False, True], ids=["tensor", "zipmap"])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=IDS)
def test_binary_classifiers_answer_the_second_class(
    tmp_path: Path, *, model: Any, zipmap: bool
) -> None:
    model = copy.deepcopy(model).fit(CANCER.data, CANCER.target)
    path = convert(tmp_path, model, 30, zipmap=zipmap)
    runtime = OnnxRuntime(path)
    score, label = runtime.signature.answers
    assert (score.name, score.index, label.name) == ("score", 1, "label")
    batch = CANCER.data[:50].astype(np.float32)
    answer = runtime.run({"X": batch})
    assert np.abs(answer[score.output][:, 1] - model.predict_proba(batch)[:, 1]).max() < 1e-4
    assert answer[label.output].tolist() == direct(path, {"X": batch})[0].tolist()


def test_signature_of_one_matrix(tmp_path: Path) -> None:
    """The V2 input is the graph's own; the columns are numbered FP32 values."""
    runtime = OnnxRuntime(convert(tmp_path, copy.deepcopy(CLASSIFIERS[0]).fit(DATA, SPECIES)))
    signature = runtime.signature
    assert runtime.name == f"onnxruntime {onnxruntime.__version__}"
    assert runtime.batchable
    assert signature.inputs == (TensorSpec(name="X", datatype="FP32", shape=(-1, 4)),)
    assert signature.matrix == signature.inputs[0]
    assert signature.columns is not None
    assert [column.name for column in signature.columns] == [f"feature_{n}" for n in (1, 2, 3, 4)]
    assert {column.datatype for column in signature.columns} == {"FP32"}
    assert {column.nullable for column in signature.columns} == {False}
    assert runtime.sample(3)["X"].shape == (3, 4)


def test_doubles_stay_doubles(tmp_path: Path) -> None:
    model = LinearRegression().fit(DIABETES.data, DIABETES.target)
    path = convert(tmp_path, model, 10, kind=DoubleTensorType)
    runtime = OnnxRuntime(path)
    (value,) = runtime.signature.answers
    assert value == Answer(
        name="value", output="variable", index=0, description="The predicted value."
    )
    answer = runtime.run({"X": DIABETES.data})["variable"]
    assert answer.dtype == np.float64
    assert np.array_equal(answer, direct(path, {"X": DIABETES.data})[0])
    assert np.allclose(answer[:, 0], model.predict(DIABETES.data), rtol=1e-12)


def passengers() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(60) < 0.2, np.nan, random.normal(40, 9, 60)),
            "fare": random.normal(30, 5, 60),
            "city": random.choice(["Oslo", "Bergen", "Tromsø"], 60),
            "class": random.choice(["a", "b"], 60),
        }
    )
    return frame, random.integers(0, 2, 60)


@pytest.mark.parametrize("zipmap", [False, True], ids=["tensor", "zipmap"])
def test_a_column_transformer_is_one_input_per_column(tmp_path: Path, *, zipmap: bool) -> None:
    frame, target = passengers()
    model = make_pipeline(
        ColumnTransformer(
            [
                ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]),
                ("c", OneHotEncoder(), ["city", "class"]),
            ]
        ),
        RandomForestClassifier(5, random_state=0),
    ).fit(frame, target)
    types = [
        (name, (StringTensorType if name in ("city", "class") else FloatTensorType)([None, 1]))
        for name in frame.columns
    ]
    options = {id(model.steps[-1][1]): {"zipmap": zipmap}}
    proto = convert_sklearn(model, initial_types=types, options=options, target_opset=18)
    path = save(tmp_path, proto)
    runtime = OnnxRuntime(path)
    signature = runtime.signature
    assert signature.matrix is None
    assert signature.columns == signature.inputs
    said = {spec.name: (spec.datatype, spec.nullable, spec.example) for spec in signature.inputs}
    assert said == {
        "age": ("FP32", True, 0.0),
        "fare": ("FP32", True, 0.0),
        "city": ("BYTES", False, "Bergen"),
        "class": ("BYTES", False, "a"),
    }
    batch: dict[str, np.ndarray] = {
        "age": frame["age"].to_numpy(np.float32).reshape(-1, 1),
        "fare": frame["fare"].to_numpy(np.float32).reshape(-1, 1),
        "city": frame["city"].to_numpy(object).reshape(-1, 1),
        "class": frame["class"].to_numpy(object).reshape(-1, 1),
    }
    label, scores = direct(path, batch)
    answer = list(runtime.run({name: array.reshape(-1) for name, array in batch.items()}).values())
    assert answer[0].tolist() == label.tolist() == model.predict(frame).tolist()
    if zipmap:
        scores = np.array([[row[0], row[1]] for row in scores], dtype=np.float32)
    assert np.array_equal(answer[1], scores)
    assert np.abs(scores - model.predict_proba(frame)).max() < 1e-5
    assert [answer.name for answer in signature.answers] == ["score", "label"]


def test_a_tree_ensemble_takes_missing_numbers(tmp_path: Path) -> None:
    """One split at 0.5, below 1, above 2, and NaN goes with what is below."""
    tree = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[1, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        nodes_missing_value_tracks_true=[1, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.0, 2.0],
    )
    path = graph(tmp_path, [tree], [info("x", ["N", 2])], [info("y", ["N", 1])])
    runtime = OnnxRuntime(path)
    assert runtime.signature.columns is not None
    assert [column.nullable for column in runtime.signature.columns] == [True, True]
    batch = np.array([[0, 0], [0, 1], [np.nan, np.nan]], dtype=np.float32)
    assert runtime.run({"x": batch})["y"].tolist() == [[1.0], [2.0], [1.0]]


def test_a_label_alone_does_not_prove_that_nan_is_understood(tmp_path: Path) -> None:
    model = RandomForestClassifier(2, random_state=0).fit(DATA, SPECIES)
    proto = convert_sklearn(
        model,
        initial_types=[("X", FloatTensorType([None, 4]))],
        options={id(model): {"zipmap": False}},
        target_opset=18,
    )
    del proto.graph.output[1:]
    runtime = OnnxRuntime(save(tmp_path, proto))
    assert runtime.signature.columns is not None
    assert {column.nullable for column in runtime.signature.columns} == {False}


def test_a_relu_that_swallows_nan_does_not_make_a_column_nullable(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = graph(tmp_path, nodes, [info("x", ["N", 1])], [info("y", ["N", 1])])
    runtime = OnnxRuntime(path)
    assert runtime.signature.columns is not None
    assert [column.nullable for column in runtime.signature.columns] == [False]


def identity(folder: Path, shape: Any, kind: int = TensorProto.FLOAT, **words: Any) -> Path:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return graph(folder, nodes, [info("x", shape, kind)], [info("y", shape, kind)], **words)


@pytest.mark.parametrize(
    ("shape", "said", "batchable"),
    [
        ([1, 3, 8, 8], (1, 3, 8, 8), False),
        (["N", 3, 8, 8], (-1, 3, 8, 8), True),
        ([None, 3, "H", "W"], (-1, 3, -1, -1), True),
    ],
)
def test_true_tensors_have_no_columns(
    tmp_path: Path, *, shape: Any, said: tuple[int, ...], batchable: bool
) -> None:
    runtime = OnnxRuntime(identity(tmp_path, shape))
    signature = runtime.signature
    assert signature.inputs == (TensorSpec(name="x", datatype="FP32", shape=said),)
    assert signature.outputs == (TensorSpec(name="y", datatype="FP32", shape=said),)
    assert (signature.columns, signature.matrix, signature.answers) == (None, None, ())
    assert runtime.batchable is batchable
    image = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    assert np.array_equal(runtime.run({"x": image})["y"], image)


@pytest.mark.parametrize(
    ("kind", "datatype", "dtype"),
    [
        (TensorProto.BOOL, "BOOL", np.bool_),
        (TensorProto.UINT8, "UINT8", np.uint8),
        (TensorProto.INT64, "INT64", np.int64),
        (TensorProto.FLOAT16, "FP16", np.float16),
        (TensorProto.DOUBLE, "FP64", np.float64),
        (TensorProto.STRING, "BYTES", object),
    ],
)
def test_every_datatype_goes_in_and_comes_out(
    tmp_path: Path, kind: int, datatype: str, dtype: Any
) -> None:
    runtime = OnnxRuntime(identity(tmp_path, ["N", 2, 2], kind))
    (spec,) = runtime.signature.inputs
    assert spec.datatype == datatype
    sample = runtime.sample(3)
    assert sample["x"].dtype == dtype
    assert runtime.run(sample)["y"].tolist() == sample["x"].tolist()
    assert runtime.signature.outputs[0].datatype == datatype


def test_strings_of_one_column(tmp_path: Path) -> None:
    runtime = OnnxRuntime(identity(tmp_path, ["N", 1], TensorProto.STRING))
    assert runtime.signature.columns == (TensorSpec(name="x", datatype="BYTES", example="text"),)
    given = np.array(["å", ""], dtype=object)
    assert runtime.run({"x": given})["y"].tolist() == [["å"], [""]]
    assert [answer.name for answer in runtime.signature.answers] == ["y"]


def test_a_flag_column_has_a_flag_as_example(tmp_path: Path) -> None:
    runtime = OnnxRuntime(identity(tmp_path, ["N"], TensorProto.BOOL))
    assert runtime.signature.columns == (
        TensorSpec(name="x", datatype="BOOL", shape=(-1,), example=False),
    )


@pytest.mark.parametrize(
    ("inputs", "nodes", "output"),
    [
        ([info("x", [])], [helper.make_node("Neg", ["x"], ["y"])], info("y", [])),
        (
            [info("x", ["N", 1])],
            [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
            info("y", []),
        ),
        (
            [info("x", ["N", 2]), info("z", ["M", 2])],
            [helper.make_node("Concat", ["x", "z"], ["y"], axis=0)],
            info("y", None),
        ),
        (
            [info("x", ["N", 2])],
            [helper.make_node("Reshape", ["x", "one"], ["y"])],
            info("y", [1, 2]),
        ),
    ],
    ids=["scalar", "sum over rows", "two batches", "one row only"],
)
def test_rows_that_cannot_share_a_call_are_not_batched(
    tmp_path: Path, inputs: list[Any], nodes: list[Any], output: Any
) -> None:
    one = numpy_helper.from_array(np.array([1, 2]), "one")
    runtime = OnnxRuntime(graph(tmp_path, nodes, inputs, [output], initializer=[one]))
    assert runtime.batchable is False
    assert runtime.run(runtime.sample(1))["y"] is not None


def test_metadata_names_the_columns_and_describes_the_model(tmp_path: Path) -> None:
    names = ["height", "width"]
    path = identity(
        tmp_path, ["N", 2], doc="Doubles nothing.", metadata={"boxship.columns": json.dumps(names)}
    )
    signature = OnnxRuntime(path).signature
    assert signature.columns is not None
    assert [column.name for column in signature.columns] == names
    assert signature.description == "Doubles nothing."


def test_declared_columns_win_and_may_say_more(tmp_path: Path) -> None:
    path = identity(
        tmp_path,
        ["N", None],
        metadata={"boxship.columns": '["a", "b"]', "description": "From the metadata."},
    )
    declared = [
        TensorSpec(name="mass", datatype="FP64", example=7, description="In kg.", nullable=True),
        TensorSpec(name="speed", datatype="FP64"),
    ]
    runtime = OnnxRuntime(path, inputs=declared)
    signature = runtime.signature
    assert signature.columns == (
        TensorSpec(name="mass", datatype="FP32", example=7.0, description="In kg.", nullable=True),
        TensorSpec(name="speed", datatype="FP32", example=0.0),
    )
    assert signature.description == "From the metadata."
    assert runtime.sample(2)["x"].tolist() == [[7.0, 0.0], [7.0, 0.0]]


def test_a_matrix_of_unknown_width_without_names_is_a_true_tensor(tmp_path: Path) -> None:
    assert OnnxRuntime(identity(tmp_path, ["N", None])).signature.columns is None


@pytest.mark.parametrize(
    ("shape", "metadata", "names", "message"),
    [
        (["N", 3], {}, ["a"], "has 3 columns, 1 are named: a"),
        (["N", 3], {"boxship.columns": '["a"]'}, [], "has 3 columns, 1 are named: a"),
        (["N", 3], {"boxship.columns": "a,b,c"}, [], "no JSON list of strings: a,b,c"),
        (["N", 3], {"boxship.columns": "[1]"}, [], "no JSON list of strings"),
        (["N"], {}, ["z"], "no inputs of the model: z"),
    ],
)
def test_names_that_contradict_the_model_are_refused(
    tmp_path: Path, shape: Any, metadata: dict[str, str], names: list[str], message: str
) -> None:
    path = identity(tmp_path, shape, metadata=metadata)
    with pytest.raises(ModelError, match=message):
        OnnxRuntime(path, inputs=[TensorSpec(name=name, datatype="FP32") for name in names])


def test_external_data_beside_the_file_is_memory_mapped(tmp_path: Path) -> None:
    """So several workers hold one copy of the weights."""
    weights = numpy_helper.from_array(np.arange(1 << 18, dtype=np.float32).reshape(512, 512), "w")
    made = helper.make_graph(
        [helper.make_node("Gather", ["w", "x"], ["y"])],
        "g",
        [info("x", ["N"], TensorProto.INT64)],
        [info("y", ["N", 512])],
        [weights],
    )
    proto = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    proto.ir_version = 9
    path = tmp_path / "model.onnx"
    onnx.save(proto, str(path), save_as_external_data=True, location="weights.bin")
    runtime = OnnxRuntime(path)
    assert runtime.run({"x": np.array([2])})["y"][0, :2].tolist() == [1024.0, 1025.0]
    assert str(tmp_path / "weights.bin") in Path("/proc/self/maps").read_text()


def test_missing_external_data_is_a_model_error(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones(4096, dtype=np.float32), "w")
    made = helper.make_graph(
        [helper.make_node("Add", ["w", "x"], ["y"])],
        "g",
        [info("x", [1])],
        [info("y", [4096])],
        [weights],
    )
    proto = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    path = tmp_path / "model.onnx"
    onnx.save(proto, str(path), save_as_external_data=True, location="weights.bin")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights\.bin") as caught:
        OnnxRuntime(path)
    assert "external data" in caught.value.tip


@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b"\x08\x07"], ids=["empty", "text", "no graph"]
)
def test_a_broken_file_is_a_model_error_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"cannot load {path}") as caught:
        OnnxRuntime(path)
    assert "\n" not in caught.value.message
    assert "ONNXRuntimeError" not in caught.value.message


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load"):
        OnnxRuntime(tmp_path / "nothing.onnx")


def test_an_output_that_is_no_tensor_is_named(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    nodes = [helper.make_node("SplitToSequence", ["x"], ["parts"])]
    path = graph(tmp_path, nodes, [info("x", ["N", 2])], [sequence])
    with pytest.raises(ModelError, match=r"output `parts` is a seq\(tensor\(float\)\)"):
        OnnxRuntime(path)


def test_an_input_that_is_no_tensor_is_named(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    nodes = [helper.make_node("ConcatFromSequence", ["parts"], ["y"], axis=0)]
    path = graph(tmp_path, nodes, [sequence], [info("y", None)])
    with pytest.raises(ModelError, match=r"input `parts` is a seq\(tensor\(float\)\)"):
        OnnxRuntime(path)


def test_a_model_without_inputs_is_refused(tmp_path: Path) -> None:
    constant = numpy_helper.from_array(np.ones(1, dtype=np.float32))
    nodes = [helper.make_node("Constant", [], ["y"], value=constant)]
    with pytest.raises(ModelError, match="has no inputs"):
        OnnxRuntime(graph(tmp_path, nodes, [], [info("y", [1])]))


def test_a_model_that_refuses_its_sample_says_what_to_declare(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    seven = numpy_helper.from_array(np.array([7, 7]), "shape")
    path = graph(tmp_path, nodes, [info("x", ["N", "M"])], [info("y", [7, 7])], initializer=[seven])
    with pytest.raises(ModelError, match="cannot answer a sample of its own inputs") as caught:
        OnnxRuntime(path)
    assert "example" in caught.value.tip


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": np.zeros((2, 3), np.float32)}, "Got: 3 Expected: 2"),
        ({"x": np.zeros((2, 2), np.float64)}, "tensor\\(double\\)"),
        ({"z": np.zeros((2, 2), np.float32)}, "x"),
    ],
    ids=["shape", "type", "name"],
)
def test_a_batch_that_does_not_fit_is_the_clients_error(
    tmp_path: Path, batch: dict[str, Any], message: str
) -> None:
    runtime = OnnxRuntime(identity(tmp_path, ["N", 2]))
    with pytest.raises(InputError, match=message) as caught:
        runtime.run(batch)
    assert "ONNXRuntimeError" not in str(caught.value)


def test_a_value_that_an_operator_refuses_is_the_clients_error(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    table = numpy_helper.from_array(np.arange(3, dtype=np.float32), "table")
    path = graph(
        tmp_path,
        nodes,
        [info("x", ["N"], TensorProto.INT64)],
        [info("y", ["N"])],
        initializer=[table],
    )
    runtime = OnnxRuntime(path, threads=2)
    assert runtime.run({"x": np.array([2])})["y"].tolist() == [2.0]
    with pytest.raises(InputError, match="Gather node: indices element out of data bounds, idx=9"):
        runtime.run({"x": np.array([9])})


def test_what_a_node_refuses_came_with_the_request(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "one"], ["y"])]
    one = numpy_helper.from_array(np.array([1, 2]), "one")
    path = graph(tmp_path, nodes, [info("x", ["N", 2])], [info("y", [1, 2])], initializer=[one])
    with pytest.raises(InputError, match="running Reshape node: ") as caught:
        OnnxRuntime(path).run({"x": np.zeros((2, 2), np.float32)})
    assert "\n" not in str(caught.value)


def test_several_outputs_keep_their_names_as_answers(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["minus"]), helper.make_node("Abs", ["x"], ["size"])]
    path = graph(
        tmp_path, nodes, [info("x", ["N", 2])], [info("minus", ["N", 2]), info("size", ["N", 2])]
    )
    answers = OnnxRuntime(path).signature.answers
    assert [(answer.name, answer.output) for answer in answers] == [
        ("minus", "minus"),
        ("size", "size"),
    ]


def test_a_flat_regressor_answers_value(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)]
    axes = numpy_helper.from_array(np.array([1]), "axes")
    path = graph(tmp_path, nodes, [info("x", ["N", 2])], [info("y", ["N"])], initializer=[axes])
    (answer,) = OnnxRuntime(path).signature.answers
    assert (answer.name, answer.output, answer.index) == ("value", "y", None)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        made = tmp_path / name
        made.mkdir()
        return made

    return make


def test_to_onnx_defaults_work(folder: Callable[[str], Path]) -> None:
    """What people write first: ``to_onnx(model, X[:1])`` with a class map."""
    model = LogisticRegression(max_iter=1000).fit(DATA, SPECIES)
    runtime = OnnxRuntime(save(folder("a"), to_onnx(model, DATA[:1])))
    assert [answer.name for answer in runtime.signature.answers] == ["label", "scores"]
    assert runtime.signature.answers[1].classes == tuple(IRIS.target_names)


def test_an_output_whose_shape_the_file_does_not_hold_gets_its_rank_from_an_answer(
    tmp_path: Path,
) -> None:
    """A reshape to a shape that is itself computed: shape inference gives up."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Identity", ["shape"], ["same"]),
        helper.make_node("ConstantOfShape", ["same"], ["y"]),
    ]
    path = graph(tmp_path, nodes, [info("x", ["N", "M", 2])], [info("y", None)])
    assert OnnxRuntime(path).signature.outputs[0].shape == (-1, -1, -1)


def test_a_column_of_the_wrong_length_is_the_clients_error(tmp_path: Path) -> None:
    runtime = OnnxRuntime(identity(tmp_path, [1], TensorProto.INT64))
    with pytest.raises(InputError, match="cannot reshape array of size 2"):
        runtime.run({"x": np.array([1, 2])})
