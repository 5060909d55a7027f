"""Converting a model as the command line does, and asking both models about fresh rows."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from boxship.convert.conversion import Order, convert
from boxship.convert.report import Report
from boxship.runtimes.onnx.runtime import OnnxRuntime
from boxship.runtimes.sklearn.runtime import SklearnRuntime
from boxship.signature import NUMPY_DTYPES


def save(folder: Path, model: Any, name: str = "model.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(model))
    return path


def converted(folder: Path, model: Any, **order: Any) -> Report:
    """``model``, saved in ``folder`` and converted there into ``model.onnx``."""
    source = save(folder, model)
    return convert(Order(source=source, output=folder / "model.onnx", trust_all=True, **order))


def answers(runtime: Any, rows: Any) -> dict[str, Any]:
    """The answers of ``/predict`` to ``rows``, a list of one list of values per column.

    A missing value is None. Numbers become the runtime's own datatype, as a server makes them.
    """
    signature = runtime.signature
    if signature.matrix is not None:
        matrix = np.array([[np.nan if one is None else one for one in row] for row in rows])
        dtype = NUMPY_DTYPES[signature.matrix.datatype]
        batch = {signature.matrix.name: matrix.astype(dtype)}
    else:
        batch = {}
        for at, spec in enumerate(signature.inputs):
            array = np.empty((len(rows), 1), dtype=NUMPY_DTYPES[spec.datatype])
            for row, values in enumerate(rows):
                gone = values[at] is None and spec.datatype != "BYTES"
                array[row, 0] = np.nan if gone else values[at]
            batch[spec.name] = array
    outputs = runtime.run(batch)
    return {
        one.name: outputs[one.output] if one.index is None else outputs[one.output][:, one.index]
        for one in signature.answers
    }


def assert_alike(source: Path, output: Path, rows: Any, *, close: float = 1e-4) -> None:
    """Both files, loaded afresh, describe themselves alike and answer ``rows`` alike."""
    original = SklearnRuntime(pickle.loads(source.read_bytes()))
    served = OnnxRuntime(output)
    said = [(one.name, one.classes, one.description) for one in original.signature.answers]
    assert [(one.name, one.classes, one.description) for one in served.signature.answers] == said
    columns = [(one.name, one.nullable) for one in original.signature.columns or ()]
    assert [(one.name, one.nullable) for one in served.signature.columns or ()] == columns
    shapes = {one.name: one.shape for one in original.signature.outputs}
    assert {one.name: one.shape for one in served.signature.outputs} == shapes
    expected, found = answers(original, rows), answers(served, rows)
    assert list(found) == list(expected)
    for name, values in expected.items():
        if name == "label":
            assert found[name].dtype == values.dtype
            assert found[name].tolist() == values.tolist()
        else:
            assert np.allclose(found[name], values, rtol=close, atol=close / 10, equal_nan=True)
