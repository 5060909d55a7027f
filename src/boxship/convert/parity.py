"""Whether two models answer alike: every answer of the one against the other's, row by row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxship.convert.answers import Asked, ask_all, picked
from boxship.convert.undecided import Answers, Mask, at_a_border, scale, tied
from boxship.runtimes.base import Array, Runtime, Tensors
from boxship.signature import Signature

TOLERANCE: Final = 1e-4
"""float32 has seven digits, and a model of hundreds of trees or terms loses two or three of
them on the way. A graph that means something else is further off than that."""

_FEW: Final = 5


@dataclass(frozen=True)
class Fault:
    """A row on which the models differ: its values, and what each makes of it.

    ``original`` and ``converted`` hold the answers by name, or a sentence where the model
    refuses the row.
    """

    row: int
    values: Mapping[str, Any]
    original: Mapping[str, Any] | str
    converted: Mapping[str, Any] | str


@dataclass(frozen=True)
class Comparison:
    """What came out of asking both models about the same rows.

    ``refused`` rows are answered by neither. ``faulty`` rows are those that differ by more
    than the tolerance, in a label, or because only one model answers; ``faults`` are the
    first of them. ``undecided`` rows differ too, but there the original itself is: two
    labels are as good as each other by its own numbers, or it gives the other answer when its
    values move by a hair. The differences are the largest over all rows that both
    answer, but the undecided; the number of labels counts these too.
    """

    rows: int
    refused: int
    undecided: int
    largest_absolute: float
    largest_relative: float
    labels_that_differ: int
    faulty: int
    faults: tuple[Fault, ...]

    @property
    def decided(self) -> int:
        """How many rows prove something: the original answers them, and by its own numbers."""
        return self.rows - self.refused - self.undecided

    @property
    def agrees(self) -> bool:
        """Whether something was proven, and nothing disproven."""
        return self.faulty == 0 and self.decided > 0

    @property
    def exact(self) -> bool:
        """Whether it agrees on undecided rows too."""
        return self.agrees and not self.undecided


def compare(
    original: Runtime,
    converted: Runtime,
    batch: Tensors,
    *,
    narrowed: Callable[[Tensors], Tensors],
    tolerance: float = TOLERANCE,
    blur: float = 0.0,
) -> Comparison:
    """Ask both about every row of ``batch``, which is in the original's own datatypes.

    ``narrowed`` turns such a batch into one for ``converted``. Numbers agree where they
    differ by no more than ``tolerance`` times the original's number, or times a tenth of
    the answer's scale where the number is smaller than that. The scale is 1, or the
    largest of all the answer's numbers where that is less. Labels agree where they are
    equal; missing and infinite numbers where both have them. A row that differs is
    undecided where the original gives the other answer too, once its values move by up to
    ``blur`` of themselves.
    """
    rows = len(next(iter(batch.values())))
    first = ask_all(original, batch, rows)
    second = ask_all(converted, narrowed(batch), rows)
    answered = np.ones(rows, dtype=bool)
    answered[[*first.refusals, *second.refusals]] = False
    found = _Found.of(first.answers, second.answers, answered, tolerance)
    faulty = found.wrong.copy()
    faulty[list(first.refusals.keys() ^ second.refusals.keys())] = True
    undecided = found.tied.copy()
    if blur:
        same = _sameness(second.answers, found.scales, tolerance)
        rows_wrong = np.flatnonzero(found.wrong & ~found.tied)
        undecided[at_a_border(_asker(original), batch, rows_wrong, same, blur)] = True
    faulty &= ~undecided
    return Comparison(
        rows=rows,
        refused=len(first.refusals.keys() & second.refusals.keys()),
        undecided=int(undecided.sum()),
        largest_absolute=float(found.absolute[~undecided].max(initial=0.0)),
        largest_relative=float(found.relative[~undecided].max(initial=0.0)),
        labels_that_differ=found.mislabelled,
        faulty=int(faulty.sum()),
        faults=tuple(
            Fault(
                row, _values(original.signature, batch, row), _said(first, row), _said(second, row)
            )
            for row in map(int, np.flatnonzero(faulty)[:_FEW])
        ),
    )


@dataclass(frozen=True)
class _Found:
    """The differences between answers. ``wrong`` and ``tied`` say it of each row."""

    wrong: Mask
    tied: Mask
    scales: Mapping[str, float]
    absolute: npt.NDArray[np.float64]
    relative: npt.NDArray[np.float64]
    mislabelled: int

    @classmethod
    def of(cls, first: Answers, second: Answers, answered: Mask, tolerance: float) -> "_Found":
        """Those of the rows that both have ``answered``."""
        rows = int(answered.sum())
        wrong, ties = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        absolute, relative = np.zeros(rows), np.zeros(rows)
        mine = {name: values[answered] for name, values in first.items() if rows}
        theirs = {name: values[answered] for name, values in second.items() if rows}
        scales = {name: scale(values) for name, values in mine.items() if name != "label"}
        for name, size in scales.items():
            found = _differences(mine[name], theirs[name], size)
            wrong |= found.beyond(tolerance)
            absolute = np.maximum(absolute, found.absolute)
            relative = np.maximum(relative, found.relative)
        mislabelled = 0
        if "label" in mine:
            differs = np.asarray(mine["label"] != theirs["label"], dtype=bool)
            mislabelled = int(_any(differs).sum())
            ties = tied(mine, differs, tolerance) & ~wrong
            wrong = wrong | _any(differs)
        return cls(
            _spread(wrong, answered),
            _spread(ties, answered),
            scales,
            _spread(absolute, answered),
            _spread(relative, answered),
            mislabelled,
        )


def _spread(values: Any, answered: Mask) -> Any:
    """What is known of the answered rows, as something known of all."""
    spread = np.zeros(len(answered), dtype=values.dtype)
    spread[answered] = values
    return spread


def _asker(original: Runtime) -> Callable[[Tensors], Answers]:
    def ask(near: Tensors) -> Answers:
        outputs = original.run(near)
        return {one.name: picked(one, outputs) for one in original.signature.answers}

    return ask


def _sameness(
    other: Answers, scales: Mapping[str, float], tolerance: float
) -> Callable[[Answers, int], Mask]:
    """What says which of some answers are those that the ``other`` model gives to a row."""

    def same(answers: Answers, row: int) -> Mask:
        close = np.ones(len(next(iter(answers.values()))), dtype=bool)
        for name, values in answers.items():
            wanted = np.broadcast_to(other[name][row], values.shape)
            if name == "label":
                close &= ~_any(values != wanted)
            else:
                close &= ~_differences(values, wanted, scales[name]).beyond(tolerance)
        return close

    return same


@dataclass(frozen=True)
class _Differences:
    """For each row the largest, over the numbers that both have. ``odd`` rows lack one of them."""

    absolute: npt.NDArray[np.float64]
    relative: npt.NDArray[np.float64]
    odd: Mask

    def beyond(self, tolerance: float) -> Mask:
        return self.odd | (self.relative > tolerance)


def _differences(mine: Array, theirs: Array, size: float) -> _Differences:
    """How far ``theirs`` is from ``mine``, measured by itself or by a tenth of ``size``."""
    theirs = theirs.astype(np.float64)
    finite = np.isfinite(mine) & np.isfinite(theirs)
    same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
    number = np.where(finite, mine, 0.0)
    apart = np.abs(number - np.where(finite, theirs, 0.0))
    floor = np.maximum(np.abs(number), size / 10)
    near = np.divide(apart, floor, out=np.where(apart > 0, np.inf, 0.0), where=floor > 0)
    return _Differences(_largest(apart), _largest(near), _any(~finite & ~same))


def _largest(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(values.reshape(len(values), -1).max(axis=1))


def _any(wrong: Any) -> Mask:
    """Row by row, whether anything in it is wrong."""
    flags = np.asarray(wrong, dtype=bool)
    found: Mask = np.asarray(flags.reshape(len(flags), -1).any(axis=1))
    return found


def _values(signature: Signature, batch: Tensors, row: int) -> dict[str, Any]:
    columns = [spec.name for spec in signature.columns or ()]
    if signature.matrix is not None:
        return dict(zip(columns, batch[signature.matrix.name][row].tolist(), strict=True))
    return {name: batch[name][row].reshape(-1).tolist()[0] for name in columns}


def _said(asked: Asked, row: int) -> Mapping[str, Any] | str:
    if row in asked.refusals:
        return asked.refusals[row]
    # A string has no `tolist`, so the row is taken as an array of one.
    return {name: values[row : row + 1].tolist()[0] for name, values in asked.answers.items()}
