"""``SimpleImputer``: onnxruntime's operator takes no float64."""

from typing import Any

import numpy as np

from boxship.convert.ours.nodes import Converter, Nodes
from boxship.signature import Datatype


def imputer(theirs: Converter, number: Datatype) -> Converter:
    """A converter of ``SimpleImputer``; ``theirs`` is for columns of text."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        fitted = operator.raw_operator
        nodes = Nodes(scope, operator, container, number)
        if fitted.add_indicator:
            raise NotImplementedError("SimpleImputer(add_indicator=True) is not implemented")
        columns = nodes.columns()
        if any(column.text for column in columns):
            theirs(scope, operator, container)
            return
        instead = fitted.statistics_.astype(np.float64)
        if np.isnan(instead).any():
            raise NotImplementedError("SimpleImputer was fitted on a column without any value")
        values = nodes.add("Concat", [column.name for column in columns], axis=1)
        if np.isnan(fitted.missing_values):
            missing = nodes.add("IsNaN", [values])
        else:
            marker = nodes.numbers([], [float(fitted.missing_values)])
            missing = nodes.add("Equal", [values, marker])
        given = nodes.numbers([1, len(instead)], instead.tolist())
        nodes.answer([nodes.add("Where", [missing, given, values])])

    return convert
