"""A fitted model made ready for the converter, without a change in what it answers.

The converter takes columns by position, wants missing strings to be strings, and looks
at parameters that only matter to methods that are not converted.
"""

import copy
from typing import Any

import numpy as np

from boxship.convert.missing import MISSING_TEXT
from boxship.runtimes.sklearn.facts import positions
from boxship.runtimes.sklearn.parts import is_passthrough, kin, parts


def prepared(model: Any) -> Any:
    """A copy of ``model`` for the converter; of a search, a copy of its best estimator."""
    while "BaseSearchCV" in kin(model) and hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    model = copy.deepcopy(model)
    for part in parts(model):
        families = kin(part)
        if "ColumnTransformer" in families and hasattr(part, "transformers_"):
            _use_positions(part)
        elif families & {"OneHotEncoder", "OrdinalEncoder"} and hasattr(part, "categories_"):
            # Only NaN is missing to an OrdinalEncoder; None is a category like any other.
            part.nan_at_ = [_nan_at(categories) for categories in part.categories_]
            part.categories_ = [_present(categories) for categories in part.categories_]
        elif "SimpleImputer" in families and hasattr(part, "statistics_"):
            _impute_text(part)
        elif "VotingClassifier" in families:
            # It shapes what `transform` gives; the converter knows one of its values only.
            part.flatten_transform = False
        elif "LinearDiscriminantAnalysis" in families and len(getattr(part, "classes_", ())) == 2:
            _be_logistic(part)
        if hasattr(part, "get_booster") and part.__sklearn_is_fitted__():
            # The converter reads trees whose columns are named by position.
            part.get_booster().feature_names = None
    return model


def blur(model: Any) -> float:
    """How far a value may move, as a part of itself, before ``model`` must keep its answer.

    Sums are exact to the last digits of float32 at best, so a border that is made of them is
    nobody's choice. A tree compares with a threshold that was chosen: not a digit may be
    lost, unless a step before it has added something up in float64.
    """
    chooses = any(
        kin(part) & {"BaseDecisionTree", "BaseHistGradientBoosting"}
        or hasattr(part, "get_booster")
        or hasattr(part, "booster_")
        for part in parts(model)
    )
    if not chooses:
        return 1e-5
    return 1e-12 if final_step(model) is not model else 0.0


def final_step(model: Any) -> Any:
    """The last estimator of a pipeline, of a pipeline in it, and so on."""
    while "Pipeline" in kin(model):
        steps = [step for _, step in model.steps if not is_passthrough(step)]
        model = steps[-1]
    return model


def _use_positions(transformer: Any) -> None:
    if hasattr(transformer, "feature_names_in_"):
        transformer.transformers_ = [
            (title, step, positions(chosen, transformer))
            for title, step, chosen in transformer.transformers_
        ]


def _nan_at(categories: Any) -> int | None:
    """The position of NaN among categories."""
    values = enumerate(categories.tolist())
    return next((at for at, one in values if isinstance(one, float) and np.isnan(one)), None)


def _present(categories: Any) -> Any:
    """Categories of strings with a string for the missing one; others as they are."""
    if categories.dtype != object or not any(isinstance(one, str) for one in categories):
        return categories
    return np.array(
        [one if isinstance(one, str) else MISSING_TEXT for one in categories], dtype=object
    )


def _impute_text(imputer: Any) -> None:
    if any(isinstance(one, str) for one in imputer.statistics_):
        imputer.missing_values = MISSING_TEXT
        imputer.statistics_ = np.array([str(one) for one in imputer.statistics_], dtype=object)


def _be_logistic(analysis: Any) -> None:
    """Of two classes it is a logistic regression, which the converter gets right."""
    from sklearn.linear_model import LogisticRegression

    fitted = {"coef_", "intercept_", "classes_", "n_features_in_"}
    kept = {name: value for name, value in vars(analysis).items() if name in fitted}
    analysis.__class__ = LogisticRegression
    vars(analysis).clear()
    vars(analysis).update(vars(LogisticRegression()) | kept)
