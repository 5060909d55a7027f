"""``OneHotEncoder`` and ``OrdinalEncoder``: columns of categories into numbers.

The converters of skl2onnx cut numbers to integers before they look them up, give float32
in a graph of float64, answer what ``OrdinalEncoder`` refuses, and do not know a missing
text or, in a single table, rare categories.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boxship.convert.ours.nodes import ML, Column, Converter, Nodes, announce
from boxship.signature import Datatype


def one_hot(_: Converter, number: Datatype) -> Converter:
    """A converter of ``OneHotEncoder``."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        encoder = operator.raw_operator
        nodes = Nodes(scope, operator, container, number)
        parts = []
        for at, (column, categories) in enumerate(
            zip(nodes.columns(), encoder.categories_, strict=True)
        ):
            marks = _marks(nodes, column, categories, strict=encoder.handle_unknown == "error")
            parts += _arranged(nodes, marks, _layout(encoder, at), _unknown_at(encoder, at))
        nodes.answer(parts)

    return convert


def one_hot_shape(number: Datatype) -> Any:
    """The shape calculator that goes with ``one_hot``."""

    def calculate(operator: Any) -> None:
        encoder = operator.raw_operator
        count = len(encoder.categories_)
        announce(operator, sum(max(_layout(encoder, at)) + 1 for at in range(count)), number)

    return calculate


def ordinal(theirs: Converter, number: Datatype) -> Converter:
    """A converter of ``OrdinalEncoder``; ``theirs`` is for one that joins rare categories."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        encoder = operator.raw_operator
        if getattr(encoder, "_infrequent_enabled", False):
            theirs(scope, operator, container)
            return
        nodes = Nodes(scope, operator, container, number)
        strict = encoder.handle_unknown == "error"
        parts = []
        for column, categories, nan_at in zip(
            nodes.columns(), encoder.categories_, encoder.nan_at_, strict=True
        ):
            codes = [float(at) for at in range(len(categories))]
            if nan_at is not None:
                codes[nan_at] = float(encoder.encoded_missing_value)
            marks = _marks(nodes, column, categories, strict=strict)
            position = nodes.add("ArgMax", [marks], axis=1, keepdims=1)
            code = nodes.add("Gather", [nodes.numbers([len(codes)], codes), position], axis=0)
            if not strict:
                known = nodes.add("Cast", [_any(nodes, marks)], to=_BOOL)
                unknown = nodes.numbers([], [float(encoder.unknown_value)])
                code = nodes.add("Where", [known, code, unknown])
            parts.append(code)
        nodes.answer(parts)

    return convert


def ordinal_shape(number: Datatype) -> Any:
    """The shape calculator that goes with ``ordinal``."""

    def calculate(operator: Any) -> None:
        announce(operator, len(operator.raw_operator.categories_), number)

    return calculate


_BOOL = 9
"""ONNX's number for booleans."""


def _marks(nodes: Nodes, column: Column, categories: Any, *, strict: bool) -> str:
    """``[rows, categories]``: 1 where a row has the category. ``strict`` refuses unknown ones.

    Of all operators ``OneHotEncoder`` is the one that refuses what it does not know, but it
    knows no numbers but integers; other numbers are compared, and their position is checked.
    """
    if column.text:
        texts = [str(one) for one in categories.tolist()]
        marks = nodes.add(
            "OneHotEncoder",
            [column.name],
            op_domain=ML,
            cats_strings=texts,
            zeros=0 if strict else 1,
        )
        flat = nodes.add("Reshape", [marks, nodes.integers([-1, len(texts)])])
        return nodes.add("Cast", [flat], to=nodes.number)
    values = np.asarray(categories, dtype=np.float64).tolist()
    missing = [bool(np.isnan(one)) for one in values]
    present = [0.0 if gone else one for one, gone in zip(values, missing, strict=True)]
    equal = nodes.add("Equal", [column.name, nodes.numbers([1, len(values)], present)])
    marks = nodes.add("Cast", [equal], to=nodes.number)
    if any(missing):
        # Nothing equals NaN, and NaN no zero that stands for it above.
        there = nodes.numbers([1, len(values)], [0.0 if gone else 1.0 for gone in missing])
        absent = nodes.numbers([1, len(values)], [1.0 if gone else 0.0 for gone in missing])
        nan = nodes.add("Cast", [nodes.add("IsNaN", [column.name])], to=nodes.number)
        marks = nodes.add(
            "Add", [nodes.add("Mul", [marks, there]), nodes.add("Mul", [nan, absent])]
        )
    return _checked(nodes, marks, len(values)) if strict else marks


def _checked(nodes: Nodes, marks: str, count: int) -> str:
    """``marks``, refused where a row has none."""
    position = nodes.add("ArgMax", [marks], axis=1, keepdims=1)
    known = nodes.add("Cast", [_any(nodes, marks)], to=_INT64)
    # 0 says unknown, the first category is 1.
    one = nodes.add("Add", [position, nodes.integers([1])])
    checked = nodes.add(
        "OneHotEncoder",
        [nodes.add("Mul", [one, known])],
        op_domain=ML,
        cats_int64s=list(range(1, count + 1)),
        zeros=0,
    )
    flat = nodes.add("Reshape", [checked, nodes.integers([-1, count])])
    return nodes.add("Cast", [flat], to=nodes.number)


_INT64 = 7
"""ONNX's number for INT64."""


def _any(nodes: Nodes, marks: str) -> str:
    """``[rows, 1]``: whether a row has any mark."""
    return nodes.add("ReduceMax", [marks, nodes.integers([1])], keepdims=1)


def _arranged(nodes: Nodes, marks: str, layout: Sequence[int], unknown_at: int | None) -> list[str]:
    """The columns that leave the encoder, of those that say which category it is."""
    width = max(layout) + 1
    if width == 0:
        return []
    if unknown_at is None and list(layout) == list(range(width)):
        return [marks]
    table = np.zeros((len(layout), width))
    for at, to in enumerate(layout):
        if to >= 0:
            table[at, to] = 1.0
    matrix = nodes.numbers(table.shape, table.reshape(-1).tolist())
    arranged = nodes.add("MatMul", [marks, matrix])
    if unknown_at is None:
        return [arranged]
    rare = np.zeros(width)
    rare[unknown_at] = 1.0
    none = nodes.add("Sub", [nodes.numbers([1], [1.0]), _any(nodes, marks)])
    more = nodes.add("Mul", [none, nodes.numbers([1, width], rare.tolist())])
    return [nodes.add("Add", [arranged, more])]


def _layout(encoder: Any, at: int) -> list[int]:
    """For each category of column ``at`` the output column that it marks, -1 where none.

    Rare categories share the last one; a dropped category takes its column with it.
    """
    count = len(encoder.categories_[at])
    rare = _rare(encoder, at)
    frequent = [category for category in range(count) if category not in rare]
    layout = [
        len(frequent) if category in rare else frequent.index(category) for category in range(count)
    ]
    dropped = None if encoder.drop_idx_ is None else encoder.drop_idx_[at]
    if dropped is None:
        return layout
    gone = layout[int(dropped)]
    return [-1 if to == gone else to - (to > gone) for to in layout]


def _unknown_at(encoder: Any, at: int) -> int | None:
    """The output column that an unknown category marks, where it marks one."""
    rare = _rare(encoder, at)
    if encoder.handle_unknown not in ("infrequent_if_exist", "warn") or not rare:
        return None
    place = _layout(encoder, at)[min(rare)]
    return place if place >= 0 else None


def _rare(encoder: Any, at: int) -> frozenset[int]:
    """Positions of the categories that are too rare for a column of their own."""
    if not getattr(encoder, "_infrequent_enabled", False):
        return frozenset()
    names = encoder.infrequent_categories_[at]
    if names is None:
        return frozenset()
    known = encoder.categories_[at].tolist()
    return frozenset(known.index(name) for name in names.tolist())
