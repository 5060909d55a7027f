"""Walking through a fitted model, knowing at each step which columns arrive there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from boxship.convert.samples.codes import Floats
from boxship.convert.samples.known.knowledge import Inputs, Knowledge
from boxship.convert.samples.known.links import SCALERS, Flow, Link, after_function, after_scaler
from boxship.convert.samples.known.ranges import note_linear, note_ranges
from boxship.convert.samples.known.trees import grown
from boxship.runtimes.sklearn.facts import positions as positions_of
from boxship.runtimes.sklearn.parts import is_passthrough, kin


def find_knowledge(model: object, count: int, rng: np.random.Generator) -> Knowledge:
    """What ``model`` knows about the ``count`` columns that it takes."""
    walk = _Walk(count, rng)
    walk.visit(model, [Link(position) for position in range(count)])
    return walk.found


@dataclass
class _Walk:
    count: int
    rng: np.random.Generator
    found: Knowledge = field(default_factory=Knowledge)

    def visit(self, estimator: Any, inputs: list[Link | None]) -> Flow:
        """Note what ``estimator`` knows about ``inputs``; the links behind it, if it has any."""
        if isinstance(estimator, str):
            return [] if estimator == "drop" else inputs
        for family in kin(estimator):
            visit = _VISITS.get(family)
            if visit is not None:
                return visit(self, estimator, inputs)
        return self.other(estimator, inputs)

    def pipeline(self, pipeline: Any, inputs: list[Link | None]) -> Flow:
        flow: Flow = inputs
        for _, step in pipeline.steps:
            if not is_passthrough(step) and flow is not None:
                flow = self.visit(step, flow)
        return flow

    def column_transformer(self, transformer: Any, inputs: list[Link | None]) -> Flow:
        places = getattr(transformer, "output_indices_", {})
        flow: Flow = [None] * max((place.stop for place in places.values()), default=0)
        for name, step, chosen in transformer.transformers_:
            given = [inputs[position] for position in positions_of(chosen, transformer)]
            behind = self.visit(step, given)
            place = places.get(name, slice(0, 0))
            if behind is not None and flow is not None and len(behind) == len(flow[place]):
                flow[place] = behind
        return flow or None

    def union(self, union: Any, inputs: list[Link | None]) -> Flow:
        flows = [self.visit(step, inputs) for _, step in union.transformer_list]
        joined: list[Link | None] = []
        for flow in flows:
            if flow is None:
                return None
            joined += flow
        return joined

    def vectorizer(self, vectorizer: Any, inputs: list[Link | None]) -> Flow:
        vocabulary = sorted(str(word) for word in getattr(vectorizer, "vocabulary_", ()))
        for link in filter(None, inputs):
            self.found.vocabularies.setdefault(link.column, []).extend(vocabulary)
        return None

    def encoder(self, encoder: Any, inputs: list[Link | None]) -> Flow:
        for link, categories in zip(inputs, encoder.categories_, strict=False):
            if link is not None:
                self.add_categories(link, categories)
        return [None] * len(inputs) if "OrdinalEncoder" in kin(encoder) else None

    def categorical_bayes(self, model: Any, inputs: list[Link | None]) -> Flow:
        for link, count in zip(inputs, model.n_categories_, strict=False):
            if link is not None:
                self.found.whole.add(link.column)
                self.add_categories(link, np.arange(float(count)))
        return None

    def imputer(self, imputer: Any, inputs: list[Link | None]) -> Flow:
        note_ranges(imputer, inputs, self.found, count=self.count, rng=self.rng)
        statistics = getattr(imputer, "statistics_", None)
        kept = list(inputs)
        if statistics is not None and not getattr(imputer, "keep_empty_features", False):
            # A column that was empty in training is dropped.
            empty = [isinstance(value, float) and np.isnan(value) for value in statistics]
            kept = [link for link, gone in zip(inputs, empty, strict=True) if not gone]
            self._note_words(inputs, statistics)
        if imputer.add_indicator:
            kept += [None] * len(imputer.indicator_.features_)
        return kept

    def _note_words(self, inputs: Inputs, statistics: Any) -> None:
        for link, value in zip(inputs, statistics, strict=True):
            if link is not None and isinstance(value, str):
                self.found.add_categories(link.column, [value])

    def scaler(self, scaler: Any, inputs: list[Link | None]) -> Flow:
        note_ranges(scaler, inputs, self.found, count=self.count, rng=self.rng)
        flow = after_scaler(scaler, inputs)
        if "PowerTransformer" in kin(scaler) and scaler.standardize:
            steps = np.linspace(-3.0, 3.0, 13)
            for link in filter(None, flow or ()):
                self.found.add_range(link.column, link.origin(steps))
        return flow

    def function(self, transformer: Any, inputs: list[Link | None]) -> Flow:
        return after_function(transformer, inputs)

    def selector(self, selector: Any, inputs: list[Link | None]) -> Flow:
        kept = [inputs[position] for position in selector.get_support(indices=True)]
        inner = getattr(selector, "estimator_", None)
        if inner is not None:
            self.visit(inner, kept if inner.n_features_in_ == len(kept) else inputs)
        return kept

    def polynomial(self, features: Any, inputs: list[Link | None]) -> Flow:
        return [
            inputs[int(powers.argmax())] if powers.sum() == 1 else None
            for powers in features.powers_
        ]

    def binarizer(self, binarizer: Any, inputs: list[Link | None]) -> Flow:
        self.add_edges(inputs, [np.array([float(binarizer.threshold)])] * len(inputs))
        return [None] * len(inputs)

    def bins(self, discretizer: Any, inputs: list[Link | None]) -> Flow:
        self.add_edges(inputs, discretizer.bin_edges_)
        return [None] * len(inputs) if discretizer.encode == "ordinal" else None

    def splines(self, transformer: Any, inputs: list[Link | None]) -> Flow:
        self.add_edges(inputs, [spline.t for spline in transformer.bsplines_])
        return None

    def histogram_boosting(self, model: Any, inputs: list[Link | None]) -> Flow:
        preprocessor = getattr(model, "_preprocessor", None)
        flow = inputs if preprocessor is None else self.visit(preprocessor, inputs)
        if flow is not None:
            self.add_trees(model, flow)
        return None

    def other(self, estimator: Any, inputs: list[Link | None]) -> Flow:
        if getattr(estimator, "n_features_in_", len(inputs)) != len(inputs):
            return None
        note_ranges(estimator, inputs, self.found, count=self.count, rng=self.rng)
        note_linear(estimator, inputs, self.found)
        self.add_trees(estimator, inputs)
        if "BernoulliNB" in kin(estimator) and estimator.binarize is not None:
            self.add_edges(inputs, [np.array([float(estimator.binarize)])] * len(inputs))
        for inner, given in _inside(estimator, inputs):
            self.visit(inner, given)
        return None

    def add_trees(self, estimator: Any, inputs: list[Link | None]) -> None:
        found = grown(estimator)
        self.found.trees += [(inputs, tree) for tree in found.trees]
        for position, categories in found.categories:
            link = inputs[position]
            if link is not None:
                self.found.whole.add(link.column)
                self.add_categories(link, categories)
        for position, values in found.ranges:
            link = inputs[position]
            if link is not None:
                self.found.add_range(link.column, link.origin(values))

    def add_categories(self, link: Link, categories: Any) -> None:
        values = [value for value in np.asarray(categories).tolist() if value is not None]
        self.found.add_categories(link.column, [value for value in values if not _is_nan(value)])

    def add_edges(self, inputs: Inputs, edges: Sequence[Floats]) -> None:
        for link, values in zip(inputs, edges, strict=True):
            if link is not None:
                self.found.edges.append((link, np.asarray(values, dtype=np.float64)))


def _inside(estimator: Any, inputs: list[Link | None]) -> Iterator[tuple[Any, list[Link | None]]]:
    """The estimators inside that are given the same columns, with the order they see."""
    several = getattr(estimator, "estimators_", None)
    if isinstance(several, (list, np.ndarray)):
        inner = list(np.asarray(several, dtype=object).flat)
        orders = getattr(estimator, "estimators_features_", None) or [None] * len(inner)
        chained = bool(kin(estimator) & {"ClassifierChain", "RegressorChain"})
        for place, (part, order) in enumerate(zip(inner, orders, strict=False)):
            given = inputs if order is None else [inputs[position] for position in order]
            # Behind the columns a link of a chain sees the answers of those before it.
            if hasattr(part, "get_params"):
                yield part, given + [None] * place if chained else given
    for attribute in ("best_estimator_", "estimator_", "regressor_", "estimator"):
        part = getattr(estimator, attribute, None)
        # Only a FrozenEstimator's `estimator` is the fitted one.
        fitted = attribute != "estimator" or type(estimator).__name__ == "FrozenEstimator"
        if fitted and hasattr(part, "get_params"):
            yield part, inputs
    for calibrated in getattr(estimator, "calibrated_classifiers_", ()):
        yield calibrated.estimator, inputs


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and np.isnan(value).item()


_VISITS: Final[dict[str, Callable[[_Walk, Any, list[Link | None]], Flow]]] = {
    "Pipeline": _Walk.pipeline,
    "ColumnTransformer": _Walk.column_transformer,
    "FeatureUnion": _Walk.union,
    "CountVectorizer": _Walk.vectorizer,
    "HashingVectorizer": _Walk.vectorizer,
    "OneHotEncoder": _Walk.encoder,
    "OrdinalEncoder": _Walk.encoder,
    "TargetEncoder": _Walk.encoder,
    "CategoricalNB": _Walk.categorical_bayes,
    "SimpleImputer": _Walk.imputer,
    "KNNImputer": _Walk.imputer,
    "IterativeImputer": _Walk.imputer,
    "FunctionTransformer": _Walk.function,
    "SelectorMixin": _Walk.selector,
    "PolynomialFeatures": _Walk.polynomial,
    "Binarizer": _Walk.binarizer,
    "KBinsDiscretizer": _Walk.bins,
    "SplineTransformer": _Walk.splines,
    "HistGradientBoostingClassifier": _Walk.histogram_boosting,
    "HistGradientBoostingRegressor": _Walk.histogram_boosting,
    **dict.fromkeys(SCALERS, _Walk.scaler),
}
