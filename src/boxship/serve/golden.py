"""The golden request: inputs whose answer is known, asked before anybody else asks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from boxship.errors import BoxshipError, RequestError
from boxship.serve.codec import v2
from boxship.serve.codec.models import ServedModel

_TOLERANCE = 1e-6


class GoldenMismatchError(BoxshipError):
    """The model does not answer what it is known to answer."""


@dataclass(frozen=True)
class Golden:
    """``inputs`` is a ``/predict`` body, or a list of V2 tensors; ``outputs`` what it answers.

    Numbers may differ by ``tolerance``, relative or absolute.
    """

    inputs: Any
    outputs: Any
    tolerance: float = _TOLERANCE

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Golden":
        """From ``golden.json`` or ``boxship.toml``."""
        tolerance = content.get("tolerance", _TOLERANCE)
        if not _is_number(tolerance) or not 0 <= tolerance < math.inf:
            raise BoxshipError(
                f"golden.tolerance: expected a number of at least 0, found {tolerance!r}."
            )
        outputs = content["outputs"]
        if _is_v2(content["inputs"]) and not _names_all(outputs):
            raise BoxshipError(
                "golden.outputs: expected a list of V2 tensors, as golden.inputs is "
                f'([{{"name": …, "data": […]}}]), found {outputs!r:.80}.'
            )
        return cls(content["inputs"], outputs, float(tolerance))

    async def ask(self, model: ServedModel, *, max_rows: int) -> None:
        """Raise ``GoldenMismatchError`` unless the model answers as it should."""
        try:
            found = await (
                self._ask_v2(model, max_rows) if _is_v2(self.inputs) else self._ask_rows(model)
            )
        except RequestError as error:
            raise GoldenMismatchError(f"golden request refused: {error}") from error
        difference = compare(self.outputs, found, self.tolerance)
        if difference:
            raise GoldenMismatchError(f"golden request answered differently: {difference}")

    async def _ask_rows(self, model: ServedModel) -> Any:
        batch, _, single = model.decode_rows(msgspec.json.encode(self.inputs))
        return msgspec.json.decode(model.encode_answers(await model.execute(batch), single=single))

    async def _ask_v2(self, model: ServedModel, max_rows: int) -> Any:
        codec = v2.TensorsCodec(model.signature.inputs, model.signature.outputs, max_rows)
        request = v2.parse(msgspec.json.encode({"inputs": self.inputs}), None, codec)
        batch, _ = model.from_tensors(request.tensors)
        outputs = model.to_tensors(await model.execute(batch))
        answer = codec.response(request, outputs, model="", version="")
        found = {output["name"]: output for output in msgspec.json.decode(answer.body)["outputs"]}
        # Only what is named is compared: data alone, or shape and datatype as well.
        return [
            {key: found.get(wanted["name"], {}).get(key) for key in wanted}
            for wanted in self.outputs
        ]


def _is_v2(inputs: Any) -> bool:
    return (
        isinstance(inputs, list)
        and bool(inputs)
        and all(
            isinstance(entry, dict) and {"name", "datatype"} <= entry.keys() for entry in inputs
        )
    )


def _names_all(outputs: Any) -> bool:
    return (
        isinstance(outputs, list)
        and bool(outputs)
        and all(isinstance(entry, dict) and "name" in entry for entry in outputs)
    )


def compare(expected: Any, found: Any, tolerance: float, path: str = "$") -> str:
    """The first difference in words, or nothing: ``$[0].score: expected 0.93, found 0.12``."""
    if _is_number(expected) and _is_number(found):
        same = math.isclose(expected, found, rel_tol=tolerance, abs_tol=tolerance)
        found = f"{found} (tolerance {tolerance:g})"
        return "" if same else f"{path}: expected {expected}, found {found}"
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        parts = [(f"{path}.{key}", expected[key], found[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        parts = [(f"{path}[{i}]", expected[i], found[i]) for i in range(len(expected))]
    else:
        same = type(expected) is type(found) and expected == found
        return "" if same else f"{path}: expected {_shown(expected)}, found {_shown(found)}"
    differences = (compare(a, b, tolerance, place) for place, a, b in parts)
    return next(filter(None, differences), "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """What differs, without what is inside: its fields, its length, or itself."""
    if isinstance(value, dict):
        return f"the fields {sorted(value)}"
    return f"{len(value)} elements" if isinstance(value, list) else repr(value)
