"""From what a step inside the model sees back to the column that the model is given."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from boxship.convert.samples.codes import Floats

Change = Callable[[Floats], Floats]
"""Values of one column before a step into those after it, or back."""


@dataclass(frozen=True, eq=False)
class Link:
    """One column inside the model that comes from one column of its input, one to one."""

    column: int
    """The position of the column among the model's inputs."""
    forward: Change | None = None
    """From the input to here; None where nothing is changed, and with it ``back``."""
    back: Change | None = None

    def ahead(self, values: Floats) -> Floats:
        """What stands here for ``values`` of the input."""
        return values if self.forward is None else self.forward(values)

    def origin(self, values: Floats) -> Floats:
        """The input that gives ``values`` here."""
        return values if self.back is None else self.back(values)

    def then(self, forward: Change, back: Change) -> "Link":
        """The link one step further on."""
        return Link(
            self.column,
            lambda values: forward(self.ahead(values)),
            lambda values: self.origin(back(values)),
        )


Flow = list[Link | None] | None
"""What an estimator sees: for each of its columns the link, None for one that is a mixture.

None for the whole where not even their number is known.
"""

SCALERS: Final = (
    "StandardScaler",
    "MinMaxScaler",
    "MaxAbsScaler",
    "RobustScaler",
    "PowerTransformer",
    "QuantileTransformer",
)
"""Steps that change each column by itself and know the way back."""

_FUNCTIONS: Final[dict[Any, Change]] = {
    np.log: np.exp,
    np.log1p: np.expm1,
    np.log2: np.exp2,
    np.exp: np.log,
    np.expm1: np.log1p,
    np.sqrt: np.square,
    np.cbrt: lambda values: values**3,
}
"""What undoes a function that a FunctionTransformer is often given."""


def after_scaler(scaler: Any, inputs: list[Link | None]) -> Flow:
    """The links behind one of ``SCALERS``."""
    return [
        None if link is None else _behind(link, _one_column(scaler, position, len(inputs)))
        for position, link in enumerate(inputs)
    ]


def after_function(transformer: Any, inputs: list[Link | None]) -> Flow:
    """The links behind a FunctionTransformer.

    A function whose inverse nobody knows is taken to keep the columns, and their
    values: a cast, ``str.lower``. A wrong guess costs a threshold that is not met.
    """
    forward = transformer.func
    back = transformer.inverse_func or _FUNCTIONS.get(forward)
    if forward is None or back is None:
        return list(inputs)
    return [None if link is None else link.then(forward, back) for link in inputs]


def _behind(link: Link, step: Any) -> Link:
    return link.then(
        lambda values: _column(step.transform, values),
        lambda values: _column(step.inverse_transform, values),
    )


def _column(method: Callable[[Any], Any], values: Floats) -> Floats:
    if not values.size:
        return values
    values = np.where(np.isfinite(values), values, np.nan)
    with warnings.catch_warnings():
        # A value outside what the step was fitted on is no news here.
        warnings.simplefilter("ignore")
        changed = np.asarray(method(values.reshape(-1, 1)), dtype=np.float64)
    return changed.reshape(values.shape)


def _one_column(step: Any, position: int, count: int) -> Any:
    """A copy of ``step`` that knows one of its ``count`` columns only.

    So the values of one column pass without a whole table around them.
    """
    single = copy.copy(step)
    for name, value in vars(step).items():
        if hasattr(value, "get_params"):
            setattr(single, name, _one_column(value, position, count))
        # The references of a QuantileTransformer belong to all columns.
        elif isinstance(value, np.ndarray) and name != "references_" and value.shape[-1] == count:
            setattr(single, name, value[..., [position]])
    single.n_features_in_ = 1
    for name in ("feature_names_in_", "_sklearn_output_config"):
        vars(single).pop(name, None)
    return single
