"""Every answer of one model to many rows, and why a row has none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from boxship.errors import RequestError
from boxship.runtimes.base import Array, Runtime, Tensors
from boxship.signature import Answer

_CHUNK_ROWS: Final = 1024

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Asked:
    """An array of all rows per answer, and for each row that has none what the model says."""

    answers: Mapping[str, Array]
    refusals: Mapping[int, str]


def ask_all(model: Runtime, batch: Tensors, rows: int) -> Asked:
    """The model's answers to all rows; one bad row spoils its own answer only."""
    found: dict[str, list[tuple[Rows, Array]]] = {}
    refusals: dict[int, str] = {}
    starts = range(0, rows, _CHUNK_ROWS)
    waiting = [np.arange(rows)[start : start + _CHUNK_ROWS] for start in starts]
    while waiting:
        some = waiting.pop()
        try:
            outputs = model.run({name: values[some] for name, values in batch.items()})
        except RequestError as error:
            if len(some) == 1:
                refusals[int(some[0])] = str(error)
            else:
                middle = len(some) // 2
                waiting += [some[:middle], some[middle:]]
            continue
        for answer in model.signature.answers:
            found.setdefault(answer.name, []).append((some, picked(answer, outputs)))
    return Asked({name: _joined(parts, rows) for name, parts in found.items()}, refusals)


def picked(answer: Answer, outputs: Tensors) -> Array:
    """What ``answer`` reads from the model's outputs, for all their rows."""
    values = outputs[answer.output]
    return values if answer.index is None else values[..., answer.index]


def _joined(parts: Sequence[tuple[Rows, Array]], rows: int) -> Array:
    values = parts[0][1]
    joined = np.zeros((rows, *values.shape[1:]), dtype=values.dtype)
    for some, part in parts:
        joined[some] = part
    return joined
