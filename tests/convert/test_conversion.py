"""The file that is written or not, and what a conversion is told to do."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.converting import assert_alike, converted, save

from boxship import proof as proofs
from boxship.artifact.digest import digest
from boxship.convert import conversion
from boxship.convert.conversion import Order, convert
from boxship.convert.errors import ConversionError
from boxship.errors import ModelError, UntrustedModelError, UsageError
from boxship.runtimes.onnx.runtime import OnnxRuntime
from boxship.signature import TensorSpec

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(120, 3)).round(3)
FRAME = pd.DataFrame(X, columns=["age", "balance", "mean radius"])
TWO = (X.sum(axis=1) > 0).astype(int)
LINEAR = LinearRegression().fit(FRAME, X.sum(axis=1))
FOREST = RandomForestRegressor(5, random_state=0).fit(X, X.sum(axis=1))
FOREST_OF_TWO = RandomForestClassifier(5, random_state=0).fit(X, TWO)
SCALED = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, TWO)
WRONG = KNeighborsClassifier(weights="distance").fit(X, TWO)


def test_converting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = converted(tmp_path, SCALED)
    assert first.output is not None
    content = first.output.read_bytes()
    converted(tmp_path, SCALED)
    assert first.output.read_bytes() == content


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """Sets of strings have another order in each process, unless they are sorted."""
    save(tmp_path, FOREST_OF_TWO)
    for seed in ("2", "77"):
        subprocess.run(
            [sys.executable, "-m", "boxship", "convert", "model.pkl", "-o", f"{seed}.onnx"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=100,
        )
    assert (tmp_path / "2.onnx").read_bytes() == (tmp_path / "77.onnx").read_bytes()


def test_the_proof_names_both_files(tmp_path: Path) -> None:
    report = converted(tmp_path, LINEAR)
    assert report.output is not None
    proof = OnnxRuntime(report.output).proof
    assert proof is not None
    assert proof == report.proof
    assert (proof.source, proof.source_digest) == ("model.pkl", digest(report.source))
    last = proofs.entry(proofs.to_json(proof))
    assert proofs.digest(report.output.read_bytes()[: -len(last)]) == proof.graph
    assert set(proof.versions) == {
        *("boxship", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")
    }


def test_the_file_is_one_that_older_runtimes_know(tmp_path: Path) -> None:
    report = converted(tmp_path, SCALED)
    assert report.output is not None
    model = onnx.load(report.output)
    onnx.checker.check_model(model)
    assert model.ir_version == 8
    assert max(one.version for one in model.opset_import) <= 18
    assert [one.name for one in model.graph.input] == ["input"]
    assert [one.name for one in model.graph.output] == ["score", "label"]


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("what was there")
    report = converted(tmp_path, LINEAR)
    assert report.agrees
    assert OnnxRuntime(tmp_path / "model.onnx").proof is not None


def test_an_older_file_stays_where_nothing_is_proven(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("what was there")
    assert not converted(tmp_path, WRONG).agrees
    assert (tmp_path / "model.onnx").read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.pkl"]


def order(folder: Path, model: Any = LINEAR, output: str = "model.onnx", **more: Any) -> Order:
    return Order(source=save(folder, model), output=folder / output, **more)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("missing/model.onnx", "there is no folder"),
        (".", "expected a file, found a folder"),
        ("model.pkl", "this is the model itself"),
        ("x" * 250 + ".onnx", "nothing can be written there: File name too long"),
    ],
)
def test_an_output_that_cannot_be_is_told_first(tmp_path: Path, output: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert(order(tmp_path, output=output))


def test_an_onnx_file_is_one_already(tmp_path: Path) -> None:
    report = converted(tmp_path, LINEAR)
    assert report.output is not None
    again = Order(source=report.output, output=tmp_path / "again.onnx")
    with pytest.raises(UsageError, match="is an ONNX model already"):
        convert(again)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    nothing = Order(source=tmp_path / "none.pkl", output=tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"There is no file .*none\.pkl"):
        convert(nothing)


def test_a_pickle_that_names_other_code_is_not_loaded(tmp_path: Path) -> None:
    source = tmp_path / "model.pkl"
    source.write_bytes(pickle.dumps(print))
    with pytest.raises(UntrustedModelError, match="nobody vouches"):
        convert(Order(source=source, output=tmp_path / "model.onnx"))


def test_rows_of_the_users_own(tmp_path: Path) -> None:
    samples = tmp_path / "rows.csv"
    FRAME.to_csv(samples, index=False)
    report = convert(order(tmp_path, samples=samples))
    assert report.samples == "rows.csv"
    assert report.proof is not None
    assert report.proof.rows == 120


def test_rows_with_holes_never_reach_a_model_that_takes_none(tmp_path: Path) -> None:
    samples = tmp_path / "rows.csv"
    frame = FRAME.copy()
    frame.loc[:9, "age"] = np.nan
    frame.to_csv(samples, index=False)
    report = convert(order(tmp_path, samples=samples))
    assert report.proof is not None
    assert report.proof.rows == 110
    assert any("were left out, 10 of" in note for note in report.notes)


def test_rows_that_all_have_holes_prove_nothing(tmp_path: Path) -> None:
    samples = tmp_path / "rows.csv"
    FRAME.assign(age=np.nan).to_csv(samples, index=False)
    with pytest.raises(UsageError, match="each without a value in a column"):
        convert(order(tmp_path, samples=samples))


def test_columns_that_the_project_declares(tmp_path: Path) -> None:
    """Their names, words and examples are in the file."""
    inputs = tuple(
        TensorSpec(name=name, datatype="FP64", description=f"the {name}", example=1.5)
        for name in ("a", "b", "c")
    )
    report = convert(order(tmp_path, SCALED, inputs=inputs))
    assert report.output is not None
    columns = OnnxRuntime(report.output).signature.columns or ()
    assert [(one.name, one.description, one.example) for one in columns] == [
        (name, f"the {name}", 1.5) for name in ("a", "b", "c")
    ]


def test_float64_from_the_start(tmp_path: Path) -> None:
    report = convert(order(tmp_path, double=True))
    assert [attempt.datatype for attempt in report.attempts] == ["FP64"]
    assert report.output is not None
    matrix = OnnxRuntime(report.output).signature.matrix
    assert matrix is not None
    assert matrix.datatype == "FP64"
    assert_alike(report.source, report.output, X.tolist(), close=1e-12)


def test_float64_where_float32_cannot_tell_rows_apart(tmp_path: Path) -> None:
    """A threshold between two float32 numbers needs the numbers between them."""
    report = converted(tmp_path, HistGradientBoostingClassifier(max_iter=5).fit(X, TWO))
    first, last = report.attempts
    assert (first.datatype, last.datatype) == ("FP32", "FP64")
    assert not first.agrees
    assert last.exact
    assert report.chosen is last
    assert report.proof is not None
    assert report.proof.datatype == "FP64"
    assert report.proof.labels_that_differ == 0


def test_a_tolerance_of_nothing_wants_every_digit(tmp_path: Path) -> None:
    """The same float32 file that agrees by default does not agree to the last digit."""
    assert converted(tmp_path, FOREST).attempts[0].agrees
    assert not converted(tmp_path, FOREST, tolerance=0.0).attempts[0].agrees


def test_what_cannot_be_served_is_told_by_the_name_of_the_output(tmp_path: Path) -> None:
    """The file beside it is nobody's business."""
    part = tmp_path / ".model.onnx.part"
    part.write_bytes(b"no model")
    with pytest.raises(ConversionError) as caught:
        conversion._served(part, tmp_path / "model.onnx")
    assert ".part" not in caught.value.message
    assert "model.onnx" in caught.value.message
