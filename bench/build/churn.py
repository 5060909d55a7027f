"""The models that go into the images: as pickles, and converted by Boxship."""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from build import commands
from numpy.typing import NDArray
from places import PYTHON
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

ROW = [41.0, 7.0, 79.5]
"""Age, months, charge: the customer that both images are asked about."""


@dataclass(frozen=True)
class Model:
    """One model in both forms, and its answer about ``ROW``."""

    pickled: Path
    onnx: Path
    score: float


def make(folder: Path, count: int) -> tuple[Model, list[Model]]:
    """The model that is served, and ``count`` others, which need the same packages."""
    folder.mkdir(parents=True)
    rows, labels = _data()
    forest = RandomForestClassifier(50, max_depth=8, random_state=0)
    others = [
        LogisticRegression(max_iter=1000).fit(rows[number::2], labels[number::2])
        for number in range(count)
    ]
    return (
        _written(forest.fit(rows, labels), folder, "churn"),
        [_written(one, folder, f"other-{number}") for number, one in enumerate(others, 1)],
    )


def _data() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    chance = np.random.default_rng(0)
    count = 2000
    age, months = chance.integers(18, 80, count), chance.integers(0, 72, count)
    charge = chance.normal(60, 25, count)
    left = chance.random(count) < 1 / (1 + np.exp(0.08 * months - 0.02 * charge))
    return np.column_stack([age, months, charge]).astype(np.float64), left


def _written(model: RandomForestClassifier | LogisticRegression, folder: Path, name: str) -> Model:
    pickled, onnx = folder / f"{name}.pkl", folder / f"{name}.onnx"
    pickled.write_bytes(pickle.dumps(model))
    argv = [str(PYTHON), "-m", "boxship", "convert", str(pickled), "-o", str(onnx)]
    commands.run(argv, environ=os.environ)
    return Model(pickled, onnx, float(model.predict_proba([ROW])[0, 1]))
