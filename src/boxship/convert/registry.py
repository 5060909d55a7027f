"""Which converter skl2onnx uses for which part of a model, while Boxship converts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from boxship.convert import trees
from boxship.convert.ours import encoders, imputer
from boxship.convert.ours.nodes import Converter
from boxship.signature import Datatype

BOOSTER_ALIAS: Final = "Boxship"
"""What the names begin with under which the converters of other libraries are registered."""

_TREES: Final = (
    *("DecisionTree", "ExtraTree", "RandomForest", "GradientBoosting", "IsolationForest"),
    BOOSTER_ALIAS,
)
_OURS: Final[dict[str, Callable[[Converter, Datatype], Converter]]] = {
    "SklearnOneHotEncoder": encoders.one_hot,
    "SklearnOrdinalEncoder": encoders.ordinal,
    "SklearnSimpleImputer": imputer.imputer,
}
_SHAPES: Final = {
    "SklearnOneHotEncoder": encoders.one_hot_shape,
    "SklearnOrdinalEncoder": encoders.ordinal_shape,
}


@contextmanager
def our_converters(number: Datatype) -> Iterator[None]:
    """While this lasts, skl2onnx converts as Boxship wants it; ``number`` is the graph's own."""
    from skl2onnx.common import _registration as registration

    # There is no public way to take the place of a converter for a while.
    pool: dict[str, Any] = registration._converter_pool  # noqa: SLF001
    shapes: dict[str, Any] = registration._shape_calculator_pool  # noqa: SLF001
    before, shapes_before = dict(pool), dict(shapes)
    for alias, converter in before.items():
        ours = converter._fct  # noqa: SLF001
        if alias in _OURS:
            ours = _OURS[alias](ours, number)
        elif any(family in alias for family in _TREES):
            ours = trees.mended(ours, number)
        pool[alias] = registration.RegisteredConverter(ours, converter.get_allowed_options())
    shapes.update({alias: shape(number) for alias, shape in _SHAPES.items()})
    try:
        yield
    finally:
        for changed, kept in ((pool, before), (shapes, shapes_before)):
            changed.clear()
            changed.update(kept)
