"""What both sources of rows hand over: one batch, and where it comes from."""

from dataclasses import dataclass
from typing import Final

from boxship.runtimes.base import Tensors

GENERATED: Final = "generated from the model"


@dataclass(frozen=True)
class Samples:
    """Rows for a model, in the words of its original's runtime.

    ``batch`` is ``{"input": float64 [rows, n]}`` where the signature has a matrix, else
    one ``[rows, 1]`` array per input: ``object`` for BYTES, else the datatype's own. A
    missing number is NaN, a missing string None. ``origin`` is the file's name, or says
    that the rows were generated; ``notes`` are sentences for the report.
    """

    batch: Tensors
    rows: int
    origin: str
    notes: tuple[str, ...] = ()
