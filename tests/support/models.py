"""Real models, small and trained on the spot: scikit-learn estimators and ONNX graphs.

    churn = models.named_classifier()
    path = models.save_pickle(churn, tmp_path)     # or save_joblib, save_onnx

Each ``Trained`` holds rows that no two are alike, so that an answer tells whose it is. The seed
is fixed: two calls give the same model.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

NAMES = ("age", "balance", "mean radius")
DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BYTES"),
)

Tensor = tuple[str, str, Sequence[int | None]]
"""A tensor's name, datatype (``FP32``) and shape; a dimension that may be any is ``None``."""


@dataclass(frozen=True)
class Trained:
    """A fitted estimator and 256 distinct rows that it takes, as it takes them."""

    name: str
    estimator: Any
    rows: Any

    def as_json(self) -> list[dict[str, Any]]:
        """The rows as ``/predict`` takes them; a missing value is ``None``."""
        frame = self.rows
        if not isinstance(frame, pd.DataFrame):
            names = [f"feature_{number}" for number in range(1, frame.shape[1] + 1)]
            frame = pd.DataFrame(frame, columns=names)
        return [
            {name: None if pd.isna(value) else value for name, value in row.items()}
            for row in frame.to_dict("records")
        ]


def numbers(columns: int) -> Any:
    """256 distinct rows of numbers."""
    return np.random.default_rng(7).normal(size=(256, columns))


def classes(x: Any, count: int) -> Any:
    """A label for each row, in about equal parts."""
    total = x.sum(axis=1)
    return np.digitize(total, np.quantile(total, np.arange(1, count) / count))


def named_classifier() -> Trained:
    """Two classes (0, 1), logistic regression on the columns ``NAMES``."""
    from sklearn.linear_model import LogisticRegression

    x = numbers(len(NAMES))
    frame = pd.DataFrame(x, columns=list(NAMES))
    return Trained("churn", LogisticRegression().fit(frame, classes(x, 2)), frame)


def plain_classifier() -> Trained:
    """Three classes by name, a random forest on a plain array of four columns."""
    from sklearn.ensemble import RandomForestClassifier

    x = numbers(4)
    labels = np.array(["low", "middle", "high"])[classes(x, 3)]
    return Trained("forest", RandomForestClassifier(10, random_state=0).fit(x, labels), x)


def boosted_classifier() -> Trained:
    """Two classes, gradient boosting on the columns ``NAMES``."""
    from sklearn.ensemble import GradientBoostingClassifier

    x = numbers(len(NAMES))
    frame = pd.DataFrame(x, columns=list(NAMES))
    estimator = GradientBoostingClassifier(n_estimators=10, random_state=0)
    return Trained("boosted", estimator.fit(frame, classes(x, 2)), frame)


def regressor() -> Trained:
    """A ridge regression on the columns ``NAMES``."""
    from sklearn.linear_model import Ridge

    x = numbers(len(NAMES))
    frame = pd.DataFrame(x, columns=list(NAMES))
    return Trained("price", Ridge().fit(frame, x @ np.arange(1.0, len(NAMES) + 1)), frame)


def text_pipeline() -> Trained:
    """Two classes by name, a pipeline on ``city`` (string), ``age``, ``income`` (may be missing)."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x = numbers(2)
    cities = np.array(["Oslo", "Paris", "Rome", "Zürich"])
    frame = pd.DataFrame(
        {"city": cities[np.arange(len(x)) % 4].astype(object), "age": x[:, 0], "income": x[:, 1]}
    )
    frame.loc[frame.index % 5 == 0, "income"] = np.nan
    columns = ColumnTransformer(
        [
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
        ]
    )
    labels = np.array(["no", "yes"])[classes(x, 2)]
    return Trained("people", make_pipeline(columns, LogisticRegression()).fit(frame, labels), frame)


def save_pickle(trained: Trained, folder: Path) -> Path:
    path = folder / f"{trained.name}.pkl"
    path.write_bytes(pickle.dumps(trained.estimator))
    return path


def save_joblib(trained: Trained, folder: Path) -> Path:
    import joblib

    path = folder / f"{trained.name}.joblib"
    joblib.dump(trained.estimator, path)
    return path


def save_onnx(trained: Trained, folder: Path) -> Path:
    """The estimator as skl2onnx converts it: FP32, one matrix, class maps left out."""
    to_onnx = pytest.importorskip("skl2onnx").to_onnx
    sample = np.asarray(trained.rows)[:1].astype(np.float32)
    options = {"zipmap": False} if hasattr(trained.estimator, "classes_") else None
    path = folder / f"{trained.name}.onnx"
    path.write_bytes(to_onnx(trained.estimator, sample, options=options).SerializeToString())
    return path


def save_identity(folder: Path, tensors: Sequence[Tensor], name: str = "identity") -> Path:
    """An ONNX model whose output ``NAME_out`` is its input ``NAME``, for each tensor."""
    onnx = pytest.importorskip("onnx")
    kinds = {
        "BOOL": onnx.TensorProto.BOOL,
        "FP16": onnx.TensorProto.FLOAT16,
        "FP32": onnx.TensorProto.FLOAT,
        "FP64": onnx.TensorProto.DOUBLE,
        "BYTES": onnx.TensorProto.STRING,
    }
    inputs, outputs, nodes = [], [], []
    for tensor, datatype, shape in tensors:
        kind = kinds[datatype] if datatype in kinds else getattr(onnx.TensorProto, datatype)
        inputs.append(onnx.helper.make_tensor_value_info(tensor, kind, list(shape)))
        outputs.append(onnx.helper.make_tensor_value_info(f"{tensor}_out", kind, list(shape)))
        nodes.append(onnx.helper.make_node("Identity", [tensor], [f"{tensor}_out"]))
    graph = onnx.helper.make_graph(nodes, name, inputs, outputs)
    opset = [onnx.helper.make_opsetid("", 17)]
    path = folder / f"{name}.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path
