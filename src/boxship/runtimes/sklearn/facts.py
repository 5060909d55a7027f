"""What the estimators inside a fitted model know about the columns it is given."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boxship.runtimes.sklearn.parts import first_step, is_passthrough, kin
from boxship.signature import Datatype

_TYPICAL = ("mean_", "center_", "statistics_", "data_min_")
"""Fitted attributes that hold one typical value per column, in the column's own unit."""
_MOST_SIBLINGS = 10
"""Of many estimators that see the same columns, the first few say all there is to say."""


@dataclass
class Facts:
    """What was found, by the position of the column."""

    datatypes: dict[int, Datatype] = field(default_factory=dict)
    missing: dict[int, object] = field(default_factory=dict)
    """For BYTES columns: None where the model was fitted on None, else NaN."""
    examples: dict[int, Any] = field(default_factory=dict)


Flow = list[int] | None
"""The columns that leave an estimator one to one, or None where they are mixed or changed."""


def find_facts(model: object, count: int) -> Facts:
    """What is known about the ``count`` columns that ``model`` takes."""
    facts = Facts()
    _visit(model, range(count), facts)
    return facts


def _visit(estimator: Any, columns: Sequence[int], facts: Facts) -> Flow:
    """Note what ``estimator`` says about the model's ``columns`` that it is given, in order."""
    for family in kin(estimator):
        visit = _VISITS.get(family)
        if visit is not None:
            return visit(estimator, columns, facts)
    return _visit_other(estimator, columns, facts)


def _visit_step(step: Any, columns: Sequence[int], facts: Facts) -> Flow:
    if isinstance(step, str):
        return [] if step == "drop" else list(columns)
    return _visit(step, columns, facts)


def _visit_pipeline(pipeline: Any, columns: Sequence[int], facts: Facts) -> Flow:
    flow: Flow = list(columns)
    for _, step in pipeline.steps:
        if not is_passthrough(step) and flow is not None:
            flow = _visit(step, flow, facts)
    return flow


def _visit_column_transformer(transformer: Any, columns: Sequence[int], facts: Facts) -> Flow:
    return _join(
        _visit_step(step, [columns[i] for i in positions(chosen, transformer)], facts)
        for _, step, chosen in transformer.transformers_
    )


def _visit_union(union: Any, columns: Sequence[int], facts: Facts) -> Flow:
    return _join(_visit_step(step, columns, facts) for _, step in union.transformer_list)


def _visit_text(vectorizer: Any, columns: Sequence[int], facts: Facts) -> Flow:
    for column in columns:
        facts.datatypes[column] = "BYTES"
        facts.examples[column] = next(iter(getattr(vectorizer, "vocabulary_", {})), "text")
    return None


def _visit_encoder(encoder: Any, columns: Sequence[int], facts: Facts) -> Flow:
    for column, categories in zip(columns, encoder.categories_, strict=False):
        _note_categories(column, categories, facts)
    return None


def _visit_imputer(imputer: Any, columns: Sequence[int], facts: Facts) -> Flow:
    missing = None if imputer.missing_values is None else np.nan
    for column, value in zip(columns, imputer.statistics_, strict=False):
        if isinstance(value, str):
            facts.datatypes[column] = "BYTES"
            facts.examples[column] = value
            facts.missing[column] = missing
    _note_typical(imputer, columns, facts)
    return None if imputer.add_indicator else list(columns)


def _visit_function(_: Any, columns: Sequence[int], __: Facts) -> Flow:
    """A function of the user's is taken to keep the columns: ``str.lower``, a cast."""
    return list(columns)


def _visit_other(estimator: Any, columns: Sequence[int], facts: Facts) -> Flow:
    if getattr(estimator, "n_features_in_", len(columns)) == len(columns):
        _note_typical(estimator, columns, facts)
        for inner, order in _siblings(estimator, len(columns)):
            _visit(inner, [columns[i] for i in order], facts)
    return None


_VISITS: dict[str, Callable[[Any, Sequence[int], Facts], Flow]] = {
    "Pipeline": _visit_pipeline,
    "ColumnTransformer": _visit_column_transformer,
    "FeatureUnion": _visit_union,
    "CountVectorizer": _visit_text,
    "HashingVectorizer": _visit_text,
    "OneHotEncoder": _visit_encoder,
    "OrdinalEncoder": _visit_encoder,
    "TargetEncoder": _visit_encoder,
    "SimpleImputer": _visit_imputer,
    "FunctionTransformer": _visit_function,
}


def _join(flows: Iterable[Flow]) -> Flow:
    joined: list[int] = []
    whole = True
    for flow in flows:
        whole = whole and flow is not None
        joined += flow or []
    return joined if whole else None


def positions(chosen: Any, transformer: Any) -> list[int]:
    """Positions of a ColumnTransformer's selection: names, positions, a slice or a mask."""
    names = [str(name) for name in getattr(transformer, "feature_names_in_", ())]
    count = int(transformer.n_features_in_)
    if isinstance(chosen, slice):
        start, stop = (
            names.index(bound) if isinstance(bound, str) else bound
            for bound in (chosen.start, chosen.stop)
        )
        # A slice of names includes its end, as in pandas.
        end = stop + 1 if isinstance(chosen.stop, str) else stop
        return list(range(count))[start : end : chosen.step]
    values = np.atleast_1d(np.asarray(chosen))
    if values.dtype == bool:
        return [int(position) for position in np.flatnonzero(values)]
    return [
        names.index(value) if isinstance(value, str) else int(value) % count
        for value in values.tolist()
    ]


def _siblings(estimator: Any, count: int) -> list[tuple[Any, Sequence[int]]]:
    """The estimators inside that are given the same columns, with the order they see."""
    everything = range(count)
    fitted = getattr(estimator, "estimators_", None)
    if isinstance(fitted, (list, np.ndarray)):
        inner = list(np.asarray(fitted, dtype=object).flat)[:_MOST_SIBLINGS]
        orders = getattr(estimator, "estimators_features_", None) or [everything] * len(inner)
        return [
            (part, list(order))
            for part, order in zip(inner, orders, strict=False)
            if hasattr(part, "get_params")
        ]
    inside = first_step(estimator) or getattr(estimator, "_preprocessor", None)
    return [] if inside is None else [(inside, everything)]


def _note_categories(column: int, categories: Any, facts: Facts) -> None:
    values = categories.tolist()
    present = [value for value in values if not (value is None or _is_nan(value))]
    if any(isinstance(value, str) for value in present):
        facts.datatypes[column] = "BYTES"
        facts.missing[column] = None if None in values else np.nan
    elif present and all(isinstance(value, bool) for value in present):
        facts.datatypes[column] = "BOOL"
    if present:
        facts.examples[column] = present[0]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and np.isnan(value).item()


def _note_typical(estimator: Any, columns: Sequence[int], facts: Facts) -> None:
    values: Any = None
    for attribute in _TYPICAL:
        values = getattr(estimator, attribute, None)
        if np.ndim(values) == 1 and np.size(values) == len(columns):
            break
    else:
        values = _thresholds(estimator, len(columns))
    for column, value in zip(columns, values, strict=True):
        if isinstance(value, (int, float)) and np.isfinite(value):
            facts.examples.setdefault(column, float(f"{value:.4g}"))


def _thresholds(estimator: Any, count: int) -> list[float]:
    """Where trees split each column; NaN where they do not."""
    typical = [float("nan")] * count
    mapper = getattr(estimator, "_bin_mapper", None)
    for column, bins in enumerate(getattr(mapper, "bin_thresholds_", ())):
        if len(bins):
            typical[column] = float(bins[len(bins) // 2])
    tree: Any = getattr(estimator, "tree_", None)
    if hasattr(tree, "threshold"):
        for column, threshold in zip(tree.feature, tree.threshold, strict=True):
            if column >= 0 and np.isnan(typical[column]):
                typical[column] = float(threshold)
    return typical
