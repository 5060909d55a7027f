"""The runtime of scikit-learn models: any fitted estimator with ``predict``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sklearn

from boxship.errors import InputError, ModelError, PredictionError
from boxship.runtimes.base import Tensors
from boxship.runtimes.nullable import find_nullable
from boxship.runtimes.sklearn.columns import Columns, read_columns
from boxship.runtimes.sklearn.feed import Feed, make_feed, matrix_spec, sample_batch
from boxship.runtimes.sklearn.outputs import Outputs, read_outputs
from boxship.runtimes.sklearn.parts import (
    first_step,
    forget_names,
    is_own,
    needs_frame,
    use_one_job,
)
from boxship.signature import Signature, TensorSpec


class SklearnRuntime:
    """A fitted estimator, served with its own methods: answers are bit-equal to theirs.

    The runtime owns ``model``: it sets every ``n_jobs`` to 1 and, where plain arrays
    are fed, removes the column names that would only make it warn. ``inputs`` are
    the project's own column declarations. Raises ``ModelError`` where ``model`` is no
    fitted estimator, contradicts ``inputs``, or refuses a sample of its own columns.

    A model fitted on named columns is fed a DataFrame only where some part of it looks
    at names or dtypes, or where a column is not a number; else an array gives the
    same numbers with less work.
    """

    batchable = True
    reentrant = True  # fitted estimators are only read; plain FastAPI has called them so for years

    def __init__(self, model: object, *, inputs: Sequence[TensorSpec] = ()) -> None:
        if isinstance(model, type) or not callable(getattr(model, "predict", None)):
            found = f"the class {model.__name__}" if isinstance(model, type) else _kind(model)
            raise ModelError(
                f"Expected a fitted estimator with a `predict` method, found {found}.",
                tip="Dump the fitted model itself, for example `joblib.dump(model, path)`.",
            )
        self.name = f"scikit-learn {sklearn.__version__}"
        use_one_job(model)
        columns = read_columns(model, inputs)
        plain = all(spec.datatype not in ("BYTES", "BOOL") for spec in columns.specs)
        frame = columns.named and not columns.text and (not plain or needs_frame(model))
        if columns.named and not frame:
            forget_names(model)
        matrix = matrix_spec(columns, frame=frame)
        self._feed: Feed = make_feed(columns, frame=frame)
        self._matrix = matrix is not None
        columns, outputs = self._learn(model, columns)
        self._compute = outputs.compute
        self._columns = self._ask_about_missing(columns, divide=_has_parts(model))
        specs = self._columns.specs
        self.signature = Signature(
            inputs=specs if matrix is None or columns.named else (matrix,),
            outputs=outputs.specs,
            columns=specs,
            answers=outputs.answers,
            matrix=matrix,
        )

    def run(self, batch: Tensors) -> Tensors:
        """The model's answers for ``{"input": [rows, n]}``, or for one array per column.

        A missing number is NaN, a missing string None. What the model says against
        its input is an ``InputError``; any other failure a ``PredictionError``.
        """
        try:
            return self._compute(self._feed(batch))
        except (ValueError, TypeError) as error:
            raise InputError(_first_line(error)) from error
        except Exception as error:
            raise PredictionError(f"{type(error).__name__}: {_first_line(error)}") from error

    def sample(self, rows: int) -> Tensors:
        """``rows`` times the columns' examples, which the model has answered at load."""
        examples = [spec.example for spec in self._columns.specs]
        return sample_batch(self._columns, examples, rows, matrix=self._matrix)

    def _learn(self, model: object, columns: Columns) -> tuple[Columns, Outputs]:
        """Ask the model about its own examples; where it refuses zeros, about ones."""
        refusal: Exception | None = None
        for candidate in (columns, _ones_for_zeros(columns)):
            examples = [spec.example for spec in candidate.specs]
            batch = sample_batch(candidate, examples, 2, matrix=self._matrix)
            try:
                return candidate, read_outputs(model, self._feed(batch))
            except Exception as error:  # noqa: BLE001 - a model may raise anything
                refusal = refusal or error
        raise ModelError(
            f"The {type(model).__name__} cannot answer a sample of its own columns: "
            f"{type(refusal).__name__}: {_first_line(refusal)}",
            tip="Is it fitted? If it is, declare its columns under `inputs` in boxship.toml, "
            "each with an `example` that it accepts.",
        ) from refusal

    def _ask_about_missing(self, columns: Columns, *, divide: bool) -> Columns:
        examples = [spec.example for spec in columns.specs]

        def accepts(positions: Sequence[int]) -> bool:
            probe: list[Any] = list(examples)
            for position in positions:
                probe[position] = None
            try:
                outputs = self.run(sample_batch(columns, probe, 2, matrix=self._matrix))
            except (InputError, PredictionError):
                return False
            return not any(
                array.dtype.kind == "f" and np.isnan(array).any() for array in outputs.values()
            )

        # A number that is no float has nothing to stand for a missing value.
        askable = [
            position
            for position, spec in enumerate(columns.specs)
            if spec.datatype == "BYTES" or spec.datatype.startswith("FP")
        ]
        found = find_nullable(accepts, askable, divide=divide)
        return replace(
            columns,
            specs=tuple(
                replace(spec, nullable=spec.nullable or position in found)
                for position, spec in enumerate(columns.specs)
            ),
        )


def _has_parts(model: object) -> bool:
    """Whether columns may go different ways inside ``model``."""
    return not is_own(model) or hasattr(model, "transformers_") or first_step(model) is not None


def _ones_for_zeros(columns: Columns) -> Columns:
    """For models that take a logarithm of what no part of them knows anything about."""
    return replace(
        columns,
        specs=tuple(
            replace(spec, example=type(spec.example)(1)) if spec.example == 0 else spec
            for spec in columns.specs
        ),
    )


def _kind(model: object) -> str:
    cls = type(model)
    return (
        f"a {cls.__name__}"
        if cls.__module__ == "builtins"
        else f"a {cls.__module__}.{cls.__name__}"
    )


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
