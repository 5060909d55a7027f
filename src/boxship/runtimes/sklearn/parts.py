"""Walking through a fitted scikit-learn model: its estimators, their kin, their habits.

Classes are told by name, not by ``isinstance``: importing every scikit-learn module
that a model might come from costs seconds, and a model that needs one has it already.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def kin(estimator: object) -> frozenset[str]:
    """The names of the scikit-learn classes that ``estimator`` is an instance of."""
    return frozenset(
        cls.__name__ for cls in type(estimator).__mro__ if cls.__module__.startswith("sklearn.")
    )


def is_own(estimator: object) -> bool:
    """Whether the class itself is scikit-learn's, not somebody's subclass."""
    return type(estimator).__module__.startswith("sklearn.")


def is_passthrough(step: object) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def parts(model: object) -> Iterator[Any]:
    """``model`` and everything inside it that is an estimator or a part of scikit-learn."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if is_own(part) or hasattr(part, "get_params"):
            yield part
            waiting.extend(getattr(part, "__dict__", {}).values())
        else:
            waiting.extend(_items(part))


def _items(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, np.ndarray) and value.dtype == object and value.size:
        # Boosted trees come as an array of objects; so do long lists of strings.
        plain = np.asarray(value)  # a search's results are masked arrays, whose flat fails here
        return plain.flat if not isinstance(plain.flat[0], (str, bytes)) else ()
    return ()


def first_step(model: object) -> Any:
    """What ``model`` hands its input to unchanged, or None: a pipeline's first step, and so on."""
    steps = getattr(model, "steps", None) or getattr(model, "transformer_list", None)
    if steps:
        return next((step for _, step in steps if not is_passthrough(step)), None)
    for attribute in ("best_estimator_", "estimator_", "regressor_", "estimators_"):
        inner = getattr(model, attribute, None)
        if isinstance(inner, (list, np.ndarray)):
            inner = inner[0] if len(inner) and hasattr(inner[0], "get_params") else None
        if hasattr(inner, "get_params"):
            return inner
    calibrated = getattr(model, "calibrated_classifiers_", None)
    return calibrated[0].estimator if calibrated else None


def attribute_of_input(model: object, attribute: str) -> Any:
    """``attribute`` of the outermost part that has it and sees the input unchanged, or None."""
    part: Any = model
    while part is not None:
        value = getattr(part, attribute, None)
        if value is not None:
            return value
        part = first_step(part)
    return None


def use_one_job(model: object) -> None:
    """Set ``n_jobs`` to 1 everywhere inside ``model``.

    A pickle's ``n_jobs=-1`` means the node's cores, which are not the container's.
    """
    for part in parts(model):
        if getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1


def forget_names(model: object) -> None:
    """Remove the fitted column names everywhere inside ``model``.

    A model that knows names warns at each call that is given a plain array; the
    numbers are the same, the warning costs time and says nothing to a client.
    """
    for part in parts(model):
        getattr(part, "__dict__", {}).pop("feature_names_in_", None)


def needs_frame(model: object) -> bool:
    """Whether some part of ``model`` looks at column names or dtypes when it predicts.

    These are: a ``ColumnTransformer`` fitted on names, a ``FunctionTransformer``, a
    part told to give DataFrames, and every class that is not scikit-learn's own.
    """
    for part in parts(model):
        if hasattr(part, "get_params"):
            families = kin(part)
            if "ColumnTransformer" in families and hasattr(part, "feature_names_in_"):
                return True
            output = getattr(part, "_sklearn_output_config", {}).get("transform", "default")
            if "FunctionTransformer" in families or output != "default" or not is_own(part):
                return True
    return False
