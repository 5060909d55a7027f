"""What every converter of ours writes with: nodes, constants, and the columns it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from boxship.convert.edits import element_type
from boxship.signature import Datatype

Converter = Callable[[Any, Any, Any], None]
"""skl2onnx's: takes a scope, an operator and a container, and adds the operator's nodes."""

ML: Final = "ai.onnx.ml"


@dataclass(frozen=True)
class Column:
    """One column ``[rows, 1]`` of what a converter is given."""

    name: str
    text: bool


class Nodes:
    """The graph that a converter writes into; its numbers are ``number``, FP32 or FP64."""

    def __init__(self, scope: Any, operator: Any, container: Any, number: Datatype) -> None:
        self._scope = scope
        self._operator = operator
        self._container = container
        self.number = element_type(number)

    def add(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node of one output; returns its name."""
        name = self._fresh(op_type)
        self._container.add_node(op_type, list(inputs), [name], **attributes)
        return name

    def numbers(self, shape: Sequence[int], values: Sequence[float]) -> str:
        """A constant of the graph's numbers."""
        return self._constant(self.number, shape, values)

    def integers(self, values: Sequence[int]) -> str:
        """A constant vector of INT64."""
        from onnx import TensorProto

        return self._constant(TensorProto.INT64, [len(values)], values)

    def columns(self) -> list[Column]:
        """What the converter is given, column by column."""
        from skl2onnx.common.data_types import StringTensorType

        found = []
        for one in self._operator.inputs:
            text, width = isinstance(one.type, StringTensorType), one.type.shape[1]
            found += [
                Column(
                    one.full_name
                    if width == 1
                    else self.add("Gather", [one.full_name, self.integers([at])], axis=1),
                    text,
                )
                for at in range(width)
            ]
        return found

    def answer(self, parts: Sequence[str]) -> None:
        """Join ``parts`` side by side as the converter's output, in the type it has announced."""
        joined = self.add("Concat", parts, axis=1) if len(parts) > 1 else parts[0]
        output = self._operator.outputs[0].full_name
        self._container.add_node("Cast", [joined], [output], to=self.number)

    def _constant(self, kind: int, shape: Sequence[int], values: Sequence[float]) -> str:
        name = self._fresh("constant")
        self._container.add_initializer(name, kind, list(shape), list(values))
        return name

    def _fresh(self, stem: str) -> str:
        return str(self._scope.get_unique_variable_name(f"boxship_{stem.lower()}"))


def announce(operator: Any, width: int, number: Datatype) -> None:
    """What a shape calculator has to say: ``width`` columns of numbers come out."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if number == "FP64" else FloatTensorType
    operator.outputs[0].type = kind([None, width])
