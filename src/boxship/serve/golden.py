"""The golden request: inputs whose answer is known, asked before anybody else asks."""

import math
from typing import Any

import msgspec

from boxship.errors import BoxshipError, RequestError
from boxship.golden import GoldenRequest
from boxship.serve.codec import v2
from boxship.serve.codec.models import ServedModel
from boxship.serve.turns import at_once


class GoldenMismatchError(BoxshipError):
    """The model does not answer what it is known to answer."""


async def ask(golden: GoldenRequest, model: ServedModel, *, max_rows: int) -> None:
    """Raise ``GoldenMismatchError`` unless the model answers as it should."""
    try:
        if golden.is_v2:
            found = await _ask_tensors(golden, model, max_rows)
        else:
            found = await _ask_rows(golden, model)
    except RequestError as error:
        raise GoldenMismatchError(f"golden request refused: {error}") from error
    difference = compare(golden.outputs, found, golden.tolerance)
    if difference:
        raise GoldenMismatchError(f"golden request answered differently: {difference}")


async def _ask_rows(golden: GoldenRequest, model: ServedModel) -> Any:
    batch, _, single = model.decode_rows(msgspec.json.encode(golden.inputs))
    return msgspec.json.decode(model.encode_answers(await model.execute(batch), single=single))


async def _ask_tensors(golden: GoldenRequest, model: ServedModel, max_rows: int) -> Any:
    codec = v2.TensorsCodec(model.signature.inputs, model.signature.outputs, max_rows)
    request = at_once(v2.parse(msgspec.json.encode({"inputs": golden.inputs}), None, codec))
    batch, _ = model.from_tensors(request.tensors)
    outputs = model.to_tensors(await model.execute(batch))
    answer = at_once(codec.response(request, outputs, model="", version=""))
    found = {output["name"]: output for output in msgspec.json.decode(answer.body)["outputs"]}
    # Only what is named is compared: data alone, or shape and datatype as well.
    return [
        {key: found.get(wanted["name"], {}).get(key) for key in wanted} for wanted in golden.outputs
    ]


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
