"""Answers are the model's own: the same bits as the model called on the same batch.

Five scikit-learn models and the ONNX files of them, one row and many, over ``/predict``, V2 with
JSON tensors and V2 with binary tensors. The reference is a second copy of the model, called here.
"""

import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Serve
from support import models
from support.serving import Server

Answers = list[dict[str, Any]]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """A running server, its model's rows, and the model's own answers to some of them."""

    server: Server
    rows: Rows
    own: Callable[[Rows], Answers]
    datatypes: Mapping[str, str]


def scikit_answers(estimator: Any, rows: Rows, *, named: bool) -> Answers:
    """What the estimator itself says, called as its user would."""
    frame = models.pd.DataFrame(list(rows))
    batch = frame if named else frame.to_numpy(dtype=float)
    if not hasattr(estimator, "predict_proba"):
        return [{"value": float(value)} for value in estimator.predict(batch)]
    return classified(estimator.predict(batch), estimator.predict_proba(batch), estimator.classes_)


def classified(labels: Any, scores: Any, classes: Any) -> Answers:
    if len(classes) == 2:
        pairs = zip(scores[:, 1].tolist(), np.asarray(labels).tolist(), strict=True)
        return [{"score": score, "label": label} for score, label in pairs]
    return [
        {"label": label, "scores": dict(zip(map(str, classes), row, strict=True))}
        for label, row in zip(np.asarray(labels).tolist(), scores.tolist(), strict=True)
    ]


def onnx_answers(path: Path, classes: Any, rows: Rows, threads: int) -> Answers:
    """What onnxruntime itself says on as many threads: it adds up trees in their order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if len(inputs) == 1 and inputs[0].shape[1] != 1:
        feed = {inputs[0].name: np.array([list(row.values()) for row in rows], np.float32)}
    else:
        feed = {
            one.name: np.array([[row[one.name]] for row in rows], dtype_of(one.type))
            for one in inputs
        }
    outputs = session.run(None, feed)
    if classes is None:
        return [{"value": value} for value in outputs[0].ravel().tolist()]
    if isinstance(outputs[1], list):
        outputs[1] = np.array([list(row.values()) for row in outputs[1]], np.float32)
    return classified(outputs[0], outputs[1], classes)


def threads_of(server: Server) -> int:
    """How many threads the server gives its worker here, as it says at its start."""
    said = re.search(r"with (\d+) threads?", server.log)
    assert said is not None, server.log
    return int(said[1])


def dtype_of(kind: str) -> type:
    return object if kind == "tensor(string)" else np.float32


def text_to_onnx(trained: models.Trained, folder: Path) -> Path:
    """The string pipeline with an input for each column."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = [
        (name, StringTensorType([None, 1]) if name == "city" else FloatTensorType([None, 1]))
        for name in trained.rows.columns
    ]
    path = folder / f"{trained.name}.onnx"
    options = {id(trained.estimator[-1]): {"zipmap": True}}
    onnx_model = convert_sklearn(trained.estimator, initial_types=kinds, options=options)
    path.write_bytes(onnx_model.SerializeToString())
    return path


MODELS: Mapping[str, Callable[[], models.Trained]] = {
    "logistic regression": models.named_classifier,
    "random forest": models.plain_classifier,
    "gradient boosting": models.boosted_classifier,
    "strings and missing values": models.text_pipeline,
    "regressor": models.regressor,
}


@pytest.fixture(
    scope="module",
    params=[(name, kind) for name in MODELS for kind in ("pickle", "onnx")],
    ids=lambda pair: f"{pair[0]}, {pair[1]}",
)
def case(
    request: pytest.FixtureRequest, serve_module: Serve, tmp_path_factory: Any
) -> Iterator[Case]:
    name, kind = request.param
    folder = tmp_path_factory.mktemp("parity")
    trained = MODELS[name]()
    named = hasattr(trained.rows, "columns")
    rows = trained.as_json()
    numbers = "FP64" if kind == "pickle" else "FP32"
    datatypes = {field: "BYTES" if field == "city" else numbers for field in rows[0]}
    estimator = pickle.loads(pickle.dumps(trained.estimator))

    if kind == "pickle":
        path = models.save_pickle(trained, folder)

        def own(some: Rows) -> Answers:
            return scikit_answers(estimator, some, named=named)

    else:
        save = text_to_onnx if trained.name == "people" else models.save_onnx
        path = save(trained, folder)
        classes = getattr(estimator, "classes_", None)

        def own(some: Rows) -> Answers:
            return onnx_answers(path, classes, some, threads_of(server))

    if kind == "onnx" and trained.name != "people":
        # One matrix: skl2onnx keeps no column names.
        rows = [
            {f"feature_{index + 1}": value for index, value in enumerate(row.values())}
            for row in rows
        ]
        datatypes = dict.fromkeys(rows[0], "FP32")
    server = serve_module(path, "--drain-delay", "0")
    yield Case(server, rows, own, datatypes)
    assert server.stop() == 0


SIZES = (1, 2, 7, 64, 256)


@pytest.mark.parametrize("size", SIZES)
def test_predict(case: Case, size: int) -> None:
    rows = case.rows[:size]
    answer = case.server.post("/predict", json=list(rows))
    assert answer.status_code == 200, answer.text
    assert answer.json() == case.own(rows)


def test_predict_one_object(case: Case) -> None:
    for row in case.rows[:5]:
        answer = case.server.post("/predict", json=row)
        assert [answer.json()] == case.own([row])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_infer(case: Case, size: int, *, binary: bool) -> None:
    rows = case.rows[:size]
    metadata = case.server.get(f"/v2/models/{model_name(case.server)}").json()
    answer = infer(case.server, tensors(metadata, case, rows), binary=binary)
    own = case.own(rows)
    for name, values in answer.items():
        if name in ("score", "value", "label", "output_label", "variable"):
            field = {"output_label": "label", "variable": "value"}.get(name, name)
            assert values.ravel().tolist() == [row[field] for row in own]
        else:
            columns = (
                [list(row["scores"].values()) for row in own]
                if "scores" in own[0]
                else [[None, row["score"]] for row in own]
            )
            for found, wanted in zip(values.tolist(), columns, strict=True):
                assert found[-1] == wanted[-1]
                assert len(found) == len(wanted)


def model_name(server: Server) -> str:
    return str(server.get("/openapi.json").json()["info"]["title"])


def tensors(metadata: Mapping[str, Any], case: Case, rows: Rows) -> dict[str, np.ndarray[Any, Any]]:
    """The rows as the tensors that the model's own metadata asks for."""
    wanted = metadata["inputs"]
    if len(wanted) == 1:
        dtype = np.float64 if wanted[0]["datatype"] == "FP64" else np.float32
        return {wanted[0]["name"]: np.array([list(row.values()) for row in rows], dtype)}
    dtypes = {"FP64": np.float64, "FP32": np.float32, "BYTES": object}
    return {
        one["name"]: np.array([[row[one["name"]]] for row in rows], dtypes[one["datatype"]])
        for one in wanted
    }


def infer(
    server: Server, arrays: Mapping[str, np.ndarray[Any, Any]], *, binary: bool
) -> dict[str, np.ndarray[Any, Any]]:
    """One infer request; the outputs that came back. Missing values travel as null or NaN."""
    name = model_name(server)
    if not binary:
        entries = [
            {
                "name": key,
                "shape": list(array.shape),
                "datatype": {"d": "FP64", "f": "FP32", "O": "BYTES"}[array.dtype.char],
                "data": [
                    None if isinstance(one, float) and np.isnan(one) else one
                    for one in array.ravel().tolist()
                ],
            }
            for key, array in arrays.items()
        ]
        answer = server.post(f"/v2/models/{name}/infer", json={"inputs": entries})
        assert answer.status_code == 200, answer.text
        return {
            one["name"]: np.array(
                one["data"], object if one["datatype"] == "BYTES" else None
            ).reshape(one["shape"])
            for one in answer.json()["outputs"]
        }
    triton = pytest.importorskip("tritonclient.http")
    from tritonclient.utils import np_to_triton_dtype

    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        inputs = []
        for key, array in arrays.items():
            one = triton.InferInput(key, array.shape, np_to_triton_dtype(array.dtype))
            one.set_data_from_numpy(array, binary_data=True)
            inputs.append(one)
        result = client.infer(name, inputs)
        described = client.get_model_metadata(name)["outputs"]
        found = {one["name"]: result.as_numpy(one["name"]) for one in described}
    return {key: decoded(array) for key, array in found.items()}


def decoded(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """BYTES as text."""
    if array.dtype != object:
        return array
    texts = [text.decode() if isinstance(text, bytes) else text for text in array.ravel()]
    return np.array(texts, object).reshape(array.shape)
