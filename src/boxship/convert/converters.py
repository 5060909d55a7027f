"""The converters: skl2onnx, with those of onnxmltools for XGBoost and LightGBM."""

import importlib.metadata
import re
import sys
import warnings
from dataclasses import dataclass
from typing import Any, Final

from boxship.convert.errors import INSTALL, INSTEAD, ConversionError
from boxship.convert.inputs import Inputs
from boxship.convert.prepare import final_step
from boxship.convert.registry import BOOSTER_ALIAS, our_converters
from boxship.runtimes.sklearn.parts import parts

TARGET_OPSET: Final = {"": 18, "ai.onnx.ml": 3}
IR_VERSION: Final = 8
"""What onnxruntime 1.18, the oldest that serves, knows, and what every converter writes."""


_BOOSTERS: Final = {
    "xgboost": {
        "XGBClassifier": "classifier",
        "XGBRFClassifier": "classifier",
        "XGBRegressor": "regressor",
        "XGBRFRegressor": "regressor",
    },
    "lightgbm": {"LGBMClassifier": "classifier", "LGBMRegressor": "regressor"},
}
_OWN_LIBRARIES: Final = ("sklearn", *_BOOSTERS)


@dataclass(frozen=True)
class Converted:
    """The graph as the converter made it, and what it warned of."""

    graph: Any
    warnings: tuple[str, ...]


def to_graph(model: Any, inputs: Inputs, *, name: str, decision: bool) -> Converted:
    """``model``, made ready by ``prepared``, as an ONNX ``ModelProto``.

    ``decision`` asks a classifier for its decision function instead of probabilities.
    Raises ``ConversionError`` that names the part of the model that cannot be converted.
    """
    import skl2onnx

    _register(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with our_converters(inputs.number):
                graph = skl2onnx.convert_sklearn(
                    model,
                    name=name,
                    initial_types=inputs.initial_types(),
                    options=_options(final_step(model), decision=decision),
                    target_opset=TARGET_OPSET,
                )
        except Exception as error:
            raise _failure(model, error) from error
    graph.ir_version = IR_VERSION
    told = (one for one in caught if issubclass(one.category, UserWarning))
    return Converted(graph, tuple(dict.fromkeys(_one_line(one.message) for one in told)))


def versions(model: Any) -> dict[str, str]:
    """The packages that make the conversion of ``model`` and its proof, package → version."""
    names = ["boxship", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx"]
    others = sorted({_library(part) for part in parts(model)} & _BOOSTERS.keys())
    if others:
        names += ["onnxmltools", *others]
    return {name: _version(name) for name in sorted(names)}


def _version(package: str) -> str:
    """Of the module where it is imported: a library may come in a package of another name."""
    module = sys.modules.get({"scikit-learn": "sklearn"}.get(package, package))
    known = getattr(module, "__version__", None)
    return str(known) if known else importlib.metadata.version(package)


def _register(model: Any) -> None:
    """Make the converters of onnxmltools known, for the libraries that ``model`` comes from."""
    for library in sorted({_library(part) for part in parts(model)} & _BOOSTERS.keys()):
        try:
            _register_library(library)
        except ImportError as error:
            raise ConversionError(
                f"Converting a model of {library} needs onnxmltools, which cannot be imported: "
                f"{error}.",
                tip=INSTALL,
            ) from error


def _register_library(library: str) -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    if library == "xgboost":
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as made
    else:
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import (
            convert_lightgbm as made,
        )
    for name, kind in _BOOSTERS[library].items():
        classifier = kind == "classifier"
        update_registered_converter(
            getattr(sys.modules[library], name),
            f"{BOOSTER_ALIAS}{name}",
            calculate_linear_classifier_output_shapes
            if classifier
            else calculate_linear_regressor_output_shapes,
            made,
            options={"nocl": [True, False], "zipmap": [True, False, "columns"]}
            if classifier
            else {"split": None},
        )


def _failure(model: Any, error: Exception) -> ConversionError:
    from skl2onnx._supported_operators import sklearn_operator_name_map as known

    # Looked for only now: a part that nobody converts may be one that nobody needs.
    steps = [final_step(model), *(part for part in parts(model) if _is_step(part))]
    unknown = {type(part): None for part in steps if type(part) not in known}
    skl2onnx = f"skl2onnx {_version('skl2onnx')}"
    if not unknown:
        return ConversionError(
            f"{skl2onnx} cannot convert this {type(model).__name__}: {_one_line(error)}",
            tip=INSTEAD.format("change the part that it names and train again"),
        )
    if all(cls.__name__.startswith("_") for cls in unknown):
        # A private part is nothing that anybody could replace.
        return ConversionError(
            f"{skl2onnx} cannot convert this {type(model).__name__}: it has no converter for "
            f"{', '.join(map(_title, unknown))}, a part of it.",
            tip=INSTEAD.format(
                "train it without what needs that part, such as columns of categories"
            ),
        )
    own = any(_library(cls) not in _OWN_LIBRARIES for cls in unknown)
    return ConversionError(
        f"{skl2onnx} has no converter for {', '.join(map(_title, unknown))}.",
        tip=INSTEAD.format(
            "do what your own class does before the request"
            if own
            else "replace that part by one that has a converter and train again"
        ),
    )


def _is_step(part: Any) -> bool:
    methods = ("predict", "transform")
    return hasattr(part, "get_params") and any(
        callable(getattr(part, one, None)) for one in methods
    )


def _library(thing: object) -> str:
    cls = thing if isinstance(thing, type) else type(thing)
    return cls.__module__.partition(".")[0]


def _title(cls: type) -> str:
    """A class of a known library by its name, anybody else's with its module."""
    return cls.__name__ if _library(cls) in _OWN_LIBRARIES else f"{cls.__module__}.{cls.__name__}"


def _options(final: Any, *, decision: bool) -> dict[int, dict[str, bool]] | None:
    """Plain tensors instead of class maps, and decisions instead of probabilities."""
    from skl2onnx._supported_operators import get_model_alias
    from skl2onnx.common._registration import get_converter

    allowed = get_converter(get_model_alias(type(final))).get_allowed_options() or {}
    wanted = {"zipmap": False} | ({"raw_scores": True} if decision else {})
    options = {key: value for key, value in wanted.items() if key in allowed}
    return {id(final): options} if options else None


def _one_line(error: object) -> str:
    """What a converter says, without its advice on where to open an issue."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = re.sub(r" ?You may raise an issue at \S+", "", text)
    return text if text.endswith((".", "!", "?")) else f"{text}."
