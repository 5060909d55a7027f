"""What a fitted scikit-learn model answers, and how it is asked with as few calls as possible."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn

from boxship.runtimes.base import Array
from boxship.runtimes.sklearn.parts import is_own, is_passthrough, kin
from boxship.signature import Answer, Datatype, TensorSpec

_ARGMAX = {
    "RandomForestClassifier",
    "ExtraTreesClassifier",
    "DecisionTreeClassifier",
    "ExtraTreeClassifier",
    "BaggingClassifier",
    "CalibratedClassifierCV",
}
"""Classes whose ``predict`` is literally the argmax of their ``predict_proba``.

Read in scikit-learn's source, ties and all. Others look alike and differ: SVC asks
its votes, HistGradientBoosting and LogisticRegression their decision function.
"""

_LABELS: dict[str, Datatype] = {"i": "INT64", "u": "INT64", "b": "BOOL", "f": "FP64"}

Head = Callable[[Any], dict[str, Array]]


@dataclass(frozen=True)
class Outputs:
    """The output tensors, the answers read from them, and what computes the tensors."""

    specs: tuple[TensorSpec, ...]
    answers: tuple[Answer, ...]
    compute: Head


def read_outputs(model: Any, fed: Any) -> Outputs:
    """What ``model`` answers, found by asking it about ``fed``, its own kind of input.

    Whatever the model raises goes through.
    """
    transforms, final = _unwrap(model)
    sample = fed
    for transform in transforms:
        sample = transform(sample)
    predict = _dense(final.predict)
    label = predict(sample)
    if _is_regressor(final, label):
        outputs = _values(predict, label)
    elif hasattr(final, "predict_proba"):
        outputs = _probabilities(final, predict, label, sample)
    else:
        outputs = _decisions(final, predict, label, sample)
    if not transforms:
        return outputs
    head = outputs.compute

    def compute(fed: Any) -> dict[str, Array]:
        for transform in transforms:
            fed = transform(fed)
        return head(fed)

    return Outputs(outputs.specs, outputs.answers, compute)


def _unwrap(model: Any) -> tuple[list[Callable[[Any], Any]], Any]:
    """The transforms before the last estimator, so that they run once for all its methods.

    Only scikit-learn's own Pipeline and searches, and only without metadata routing:
    there their methods do nothing but hand the input on.
    """
    transforms: list[Callable[[Any], Any]] = []
    if sklearn.get_config().get("enable_metadata_routing"):
        return transforms, model
    while is_own(model):
        if type(model).__name__ == "Pipeline":
            transforms += [
                step.transform for _, step in model.steps[:-1] if not is_passthrough(step)
            ]
            model = model.steps[-1][1]
        elif "BaseSearchCV" in kin(model) and hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            break
    return transforms, model


def _dense(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Multilabel classifiers fitted on a sparse ``y`` answer with a sparse matrix."""

    def call(fed: Any) -> Any:
        result = method(fed)
        return result.toarray() if hasattr(result, "toarray") else np.asarray(result)

    return call


def _is_regressor(final: Any, prediction: Array) -> bool:
    families = kin(final)
    if families & {"RegressorMixin", "ClassifierMixin", "ClusterMixin", "OutlierMixin"}:
        return "RegressorMixin" in families
    if hasattr(final, "classes_") or hasattr(final, "predict_proba"):
        return False
    return prediction.dtype.kind == "f"


def _values(predict: Callable[[Any], Any], prediction: Array) -> Outputs:
    width = prediction.shape[1] if prediction.ndim > 1 else 1
    shape = (-1,) if width == 1 else (-1, width)

    def compute(fed: Any) -> dict[str, Array]:
        return {"value": predict(fed).astype(np.float64, copy=False).reshape(shape)}

    return Outputs(
        (TensorSpec(name="value", datatype="FP64", shape=shape),),
        (Answer(name="value", output="value", description="The predicted value."),),
        compute,
    )


def _decisions(
    final: Any, predict: Callable[[Any], Any], prediction: Array, sample: Any
) -> Outputs:
    label, cast = _label(prediction)
    label_answer = Answer(name="label", output="label", description="The predicted label.")
    if not hasattr(final, "decision_function"):
        return Outputs((label,), (label_answer,), lambda fed: {"label": cast(predict(fed))})
    decide = final.decision_function
    shape = _shape(decide(sample))
    decision = TensorSpec(name="decision", datatype="FP64", shape=shape)

    def compute(fed: Any) -> dict[str, Array]:
        return {
            "decision": decide(fed).astype(np.float64, copy=False),
            "label": cast(predict(fed)),
        }

    text = "The decision function: how far, and on which side of the border."
    return Outputs(
        (decision, label),
        (Answer(name="decision", output="decision", description=text), label_answer),
        compute,
    )


def _probabilities(
    final: Any, predict: Callable[[Any], Any], prediction: Array, sample: Any
) -> Outputs:
    proba = final.predict_proba
    scores = proba(sample)
    if isinstance(scores, list):
        return _many_outputs(final, predict, prediction, scores)
    label, cast = _label(prediction)
    label_answer = Answer(name="label", output="label", description="The predicted label.")
    if prediction.ndim > 1:
        spec = TensorSpec(name="scores", datatype="FP64", shape=_shape(scores))
        text = "The probability of each label."
        return Outputs(
            (label, spec),
            (label_answer, Answer(name="scores", output="scores", description=text)),
            lambda fed: {"label": cast(predict(fed)), "scores": _float(proba(fed))},
        )
    classes = getattr(final, "classes_", None)
    names = _names(classes if classes is not None else range(scores.shape[1]))
    one_call = type(final).__name__ in _ARGMAX and is_own(final)
    if one_call:
        table = cast(np.asarray(classes))

        def both(fed: Any) -> tuple[Array, Array]:
            given = proba(fed)
            return _float(given), table.take(given.argmax(axis=1))
    else:

        def both(fed: Any) -> tuple[Array, Array]:
            return _float(proba(fed)), cast(predict(fed))

    if classes is not None and len(names) == 2:
        text = f"The probability of {names[1]}."

        def binary(fed: Any) -> dict[str, Array]:
            given, labels = both(fed)
            return {"score": given[:, 1], "label": labels}

        return Outputs(
            (TensorSpec(name="score", datatype="FP64", shape=(-1,)), label),
            (Answer(name="score", output="score", description=text), label_answer),
            binary,
        )

    def multiclass(fed: Any) -> dict[str, Array]:
        given, labels = both(fed)
        return {"label": labels, "scores": given}

    text = "The probability of each class."
    return Outputs(
        (label, TensorSpec(name="scores", datatype="FP64", shape=(-1, len(names)))),
        (label_answer, Answer(name="scores", output="scores", classes=names, description=text)),
        multiclass,
    )


def _many_outputs(
    final: Any, predict: Callable[[Any], Any], prediction: Array, scores: Sequence[Array]
) -> Outputs:
    """Several classifiers in one.

    ``scores`` is ``[rows, outputs, classes]`` where they agree on the classes, else
    one tensor ``scores_1 … scores_m`` each.
    """
    proba = final.predict_proba
    label, cast = _label(prediction)
    names = [_names(classes) for classes in final.classes_]
    label_answer = Answer(name="label", output="label", description="One label per output.")
    if all(other == names[0] for other in names):
        shape = (-1, len(names), len(names[0]))
        text = "For each output, the probability of each class."
        answer = Answer(name="scores", output="scores", classes=names[0], description=text)
        return Outputs(
            (label, TensorSpec(name="scores", datatype="FP64", shape=shape)),
            (label_answer, answer),
            lambda fed: {
                "label": cast(predict(fed)),
                "scores": _float(np.stack(proba(fed), axis=1)),
            },
        )
    titles = [f"scores_{number}" for number in range(1, len(scores) + 1)]

    def compute(fed: Any) -> dict[str, Array]:
        given = {title: _float(part) for title, part in zip(titles, proba(fed), strict=True)}
        return {"label": cast(predict(fed)), **given}

    text = "The probability of each class of output {}."
    return Outputs(
        (
            label,
            *(
                TensorSpec(name=title, datatype="FP64", shape=(-1, len(classes)))
                for title, classes in zip(titles, names, strict=True)
            ),
        ),
        (
            label_answer,
            *(
                Answer(name=title, output=title, classes=classes, description=text.format(number))
                for number, (title, classes) in enumerate(zip(titles, names, strict=True), 1)
            ),
        ),
        compute,
    )


def _label(prediction: Array) -> tuple[TensorSpec, Callable[[Any], Array]]:
    datatype = _LABELS.get(prediction.dtype.kind, "BYTES")
    spec = TensorSpec(name="label", datatype=datatype, shape=_shape(prediction))
    if datatype == "BYTES":
        return spec, _strings
    dtype = {"INT64": np.int64, "BOOL": np.bool_, "FP64": np.float64}[datatype]
    return spec, lambda labels: labels.astype(dtype, copy=False)


def _strings(labels: Array) -> Array:
    if labels.dtype.kind == "U":
        return labels.astype(object)
    return np.array([str(label) for label in labels.flat], dtype=object).reshape(labels.shape)


def _float(values: Array) -> Array:
    return values.astype(np.float64, copy=False)


def _shape(values: Array) -> tuple[int, ...]:
    return (-1, *values.shape[1:])


def _names(classes: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in np.asarray(classes).tolist())
