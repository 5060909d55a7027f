"""Train the models of the benchmark and convert them; run inside the environment ``models``.

``python models.py FOLDER`` writes for each model its pickle, its ONNX file, the rows that are
sent and the score that scikit-learn itself gives to each.
"""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

COLUMNS = 2
ROWS = 16
IMAGE = (1, 3, 224, 224)


def convert(pickled: Path, path: Path) -> None:
    """The pickle as an ONNX file, as a user makes it."""
    argv = [sys.executable, "-m", "boxship", "convert", str(pickled), "-o", str(path)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")


def identity(path: Path) -> None:
    """A model that answers the image it is given."""
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, IMAGE)
        for name in ("input", "output")
    ]
    node = helper.make_node("Identity", ["input"], ["output"])
    graph = helper.make_graph([node], "identity", tensors[:1], tensors[1:])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())


def main(folder: Path) -> None:
    """Everything, from data that scikit-learn brings along."""
    folder.mkdir(parents=True, exist_ok=True)
    data = load_breast_cancer()
    columns, labels = data.data[:, :COLUMNS], data.target
    models = {
        "lr": LogisticRegression(),
        "rf": RandomForestClassifier(n_estimators=100, random_state=0),
    }
    for name, model in models.items():
        model.fit(columns, labels)
        scores = model.predict_proba(columns)[:, 1]
        # No two rows that are sent have the same score, so that a mix-up shows.
        _, first = np.unique(np.round(scores, 4), return_index=True)
        chosen = np.sort(first)[:: max(1, len(first) // ROWS)][:ROWS]
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(model))
        convert(folder / f"{name}.pkl", folder / f"{name}.onnx")
        sent = {"rows": columns[chosen].tolist(), "scores": scores[chosen].tolist()}
        (folder / f"{name}.json").write_text(json.dumps(sent))
    identity(folder / "identity.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
