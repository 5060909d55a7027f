"""Which files several workers hold one copy of."""

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from boxship.artifact.mapping import shares_pages

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 2


@pytest.mark.parametrize(
    ("estimator", "compress", "shared"),
    [
        pytest.param(KNeighborsClassifier(), 0, True, id="arrays in a plain joblib file"),
        pytest.param(KNeighborsClassifier(), 3, False, id="a compressed file is unpacked"),
        pytest.param(DecisionTreeClassifier(), 0, False, id="trees copy their arrays"),
    ],
)
def test_joblib_files(tmp_path: Path, estimator: object, compress: int, *, shared: bool) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(estimator.fit(X, Y), path, compress=compress)  # type: ignore[attr-defined]
    assert shares_pages(path) is shared


def test_what_holds_no_arrays(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert not shares_pages(empty)
    assert not shares_pages(tmp_path)
