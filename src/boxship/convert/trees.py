"""Tree ensembles as their libraries compute them: missing values, precision, datatypes.

The converters of skl2onnx and onnxmltools write the trees; what they leave out or round
away is mended here, on the way of each node into the graph:

- scikit-learn's trees say at each split where a missing value goes;
- a threshold must not be rounded up, or a value below it falls on the other side;
- scikit-learn's trees and XGBoost compare as float32, histogram trees and LightGBM as
  float64, whatever the rest of the graph computes with;
- the operators answer float32 always, also where the converter has announced float64.
"""

import inspect
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from boxship.runtimes.sklearn.parts import kin
from boxship.signature import Datatype

_OPERATORS: Final = {"TreeEnsembleClassifier": 1, "TreeEnsembleRegressor": 0}
"""Operator → which of its outputs is the one of numbers."""

_DOUBLE: Final = ("HistGradientBoosting", "LGBM")
"""What compares as float64."""

_FLOAT: Final = 1
_DOUBLE_TYPE: Final = 11
"""ONNX's numbers for the two datatypes."""

_WITH_DOUBLES: Final = 3
"""The version of the operators since which thresholds may be float64."""

_LIGHTGBM_ZERO: Final = float(np.float32(1e-35))
"""Up to here, LightGBM takes a number for zero (``kZeroThreshold`` in its meta.h)."""


def mended(converter: Any, number: Datatype) -> Any:
    """``converter``, with the trees that it writes made exact in a graph of ``number``."""
    # Told so, skl2onnx keeps the float64 of thresholds that it would round to float32.
    known = inspect.signature(converter).parameters
    version = {"op_version": _WITH_DOUBLES} if number == "FP64" and "op_version" in known else {}

    def convert(scope: Any, operator: Any, container: Any) -> None:
        mending = _Container(container, scope, operator.raw_operator, number)
        converter(scope, operator, mending, **version)

    return convert


class _Container:
    """skl2onnx's container of nodes, which mends tree ensembles as they are added."""

    def __init__(self, inner: Any, scope: Any, model: Any, number: Datatype) -> None:
        self._inner = inner
        self._scope = scope
        self._trees = _trees(model)
        self._used = 0
        self._number = number
        self._double = any(part in type(model).__name__ for part in _DOUBLE)
        self._lightgbm = type(model).__module__.startswith("lightgbm.")
        self._exponential = _answers_exponential(model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def add_node(self, op_type: str, inputs: Any, outputs: Any, **attributes: Any) -> None:
        if op_type not in _OPERATORS:
            self._inner.add_node(op_type, inputs, outputs, **attributes)
            return
        self._send_missing(attributes)
        _round_down(attributes, np.float64 if self._as_double else np.float32)
        if self._lightgbm:
            _respect_zero(attributes)
        inputs, outputs = _listed(inputs), _listed(outputs)
        if self._as_double:
            _use_doubles(attributes)
            attributes["op_version"] = _WITH_DOUBLES
        elif self._number == "FP64":
            inputs = [self._add("Cast", inputs[0], to=_FLOAT)]
        at = _OPERATORS[op_type]
        wanted, outputs[at] = outputs[at], self._fresh()
        self._inner.add_node(op_type, inputs, outputs, **attributes)
        made = outputs[at]
        if self._number == "FP64":
            made = self._add("Cast", made, to=_DOUBLE_TYPE)
        if self._exponential:
            made = self._add("Exp", made)
        self._inner.add_node("Identity", [made], [wanted])

    def _add(self, op_type: str, tensor: str, **attributes: Any) -> str:
        name = self._fresh()
        self._inner.add_node(op_type, [tensor], [name], **attributes)
        return name

    def _fresh(self) -> str:
        return str(self._scope.get_unique_variable_name("boxship_trees"))

    @property
    def _as_double(self) -> bool:
        return self._double and self._number == "FP64"

    def _send_missing(self, attributes: dict[str, Any]) -> None:
        """Send missing values where scikit-learn's own trees send them."""
        trees, nodes = attributes["nodes_treeids"], attributes["nodes_nodeids"]
        if not self._trees:
            return
        # A converter writes all trees into one node, or one node for each of them.
        sides = [getattr(tree, "missing_go_to_left", None) for tree in self._trees[self._used :]]
        attributes["nodes_missing_value_tracks_true"] = [
            0 if sides[tree] is None or mode == "LEAF" else int(sides[tree][node])
            for tree, node, mode in zip(trees, nodes, attributes["nodes_modes"], strict=True)
        ]
        self._used += len(set(trees))


def _trees(model: Any) -> Sequence[Any]:
    """The trees of a scikit-learn model that takes missing values, in the converter's order."""
    if "BaseDecisionTree" in kin(model):
        return [model.tree_]
    if kin(model) & {"BaseForest", "IsolationForest"}:
        return [one.tree_ for one in model.estimators_]
    return []


def _answers_exponential(model: Any) -> bool:
    """Whether the model answers e to the power of its trees' sum, which skl2onnx forgets."""
    return "HistGradientBoostingRegressor" in kin(model) and model.loss in ("gamma", "poisson")


def _round_down(attributes: dict[str, Any], dtype: Any) -> None:
    """Thresholds of ``x <= threshold`` as the largest ``dtype`` that is not above them."""
    exact = np.asarray(attributes["nodes_values"], dtype=np.float64)
    with np.errstate(over="ignore"):
        near = exact.astype(dtype)
    below = np.where(near.astype(np.float64) > exact, np.nextafter(near, dtype(-np.inf)), near)
    inclusive = np.asarray(attributes["nodes_modes"]) == "BRANCH_LEQ"
    attributes["nodes_values"] = np.where(inclusive, below, near)


def _respect_zero(attributes: dict[str, Any]) -> None:
    """Move a threshold at the lower end of what is zero, so that all zeros are above it."""
    values = attributes["nodes_values"]
    lower = values == values.dtype.type(-_LIGHTGBM_ZERO)
    attributes["nodes_values"] = np.where(
        lower, np.nextafter(values, values.dtype.type(-np.inf)), values
    )


def _use_doubles(attributes: dict[str, Any]) -> None:
    """The operator's numbers as float64; hit rates, which only hint, are left out."""
    from onnx import numpy_helper

    attributes.pop("nodes_hitrates", None)
    for key in ("nodes_values", "class_weights", "target_weights", "base_values"):
        if key in attributes:
            values = np.asarray(attributes.pop(key), dtype=np.float64).reshape(-1)
            attributes[f"{key}_as_tensor"] = numpy_helper.from_array(values, name=key)


def _listed(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
