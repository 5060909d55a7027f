"""What a fitted scikit-learn model says about the columns it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxship.errors import ModelError
from boxship.runtimes.sklearn.facts import Facts, find_facts
from boxship.runtimes.sklearn.parts import attribute_of_input, first_step, kin
from boxship.signature import TensorSpec

_TEXT = {"CountVectorizer", "HashingVectorizer"}


@dataclass(frozen=True)
class Columns:
    """The columns in the model's order, and what stands for a missing string in each."""

    specs: tuple[TensorSpec, ...]
    named: bool
    """Whether the model was fitted on named columns."""
    text: bool
    """Whether the model takes one sequence of documents."""
    missing: tuple[object, ...]


def read_columns(model: object, declared: Sequence[TensorSpec]) -> Columns:
    """The columns of ``model``; ``declared`` says what the model cannot, and overrides.

    ``nullable`` is the declared one: whether the model takes missing values is found
    by asking it. Raises ``ModelError`` where the number of columns cannot be known,
    or where the declaration contradicts the model.
    """
    text = _is_text(model)
    fitted = None if text else attribute_of_input(model, "feature_names_in_")
    known = 1 if text else attribute_of_input(model, "n_features_in_")
    if known is None and not declared:
        raise ModelError(
            f"A {type(model).__name__} does not say how many columns it takes.",
            tip="Fit it before it is saved. If it is fitted, declare its columns, in order, under "
            "`inputs` in boxship.toml.",
        )
    count = len(declared) if known is None else int(known)
    facts = find_facts(model, count)
    names = [str(name) for name in fitted] if fitted is not None else None
    if names is not None and len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ModelError(
            f"The model was fitted on columns that share a name: {', '.join(twice)}.",
            tip="Rename them and fit again: a JSON object cannot hold one name twice.",
        )
    by_position = _match(declared, names, count)
    return Columns(
        specs=tuple(
            _spec(position, names, by_position.get(position), facts) for position in range(count)
        ),
        named=names is not None,
        text=text,
        missing=tuple(facts.missing.get(position, np.nan) for position in range(count)),
    )


def _match(
    declared: Sequence[TensorSpec], names: list[str] | None, count: int
) -> dict[int, TensorSpec]:
    if names is None:
        if declared and len(declared) != count:
            raise ModelError(
                f"The model takes {count} columns, {len(declared)} are declared.",
                tip="Declare every column under `inputs`, in the order of the training data.",
            )
        return dict(enumerate(declared))
    unknown = [spec.name for spec in declared if spec.name not in names]
    if unknown:
        raise ModelError(
            f"Declared inputs are no columns of the model: {', '.join(unknown)}. "
            f"The model was fitted on: {', '.join(names)}.",
            tip="Correct the names under `inputs`, or leave `inputs` out.",
        )
    return {names.index(spec.name): spec for spec in declared}


def _spec(
    position: int, names: list[str] | None, declared: TensorSpec | None, facts: Facts
) -> TensorSpec:
    datatype = declared.datatype if declared else facts.datatypes.get(position, "FP64")
    example: Any = facts.examples.get(position)
    if declared and declared.example is not None:
        example = declared.example
    elif example is None or isinstance(example, str) != (datatype == "BYTES"):
        example = {"BYTES": "text", "BOOL": False}.get(datatype, 0.0)
    if datatype.startswith(("INT", "UINT")):
        example = round(example)
    return TensorSpec(
        name=names[position] if names else declared.name if declared else f"feature_{position + 1}",
        datatype=datatype,
        nullable=declared.nullable if declared else False,
        description=declared.description if declared else "",
        example=example,
    )


def _is_text(model: object) -> bool:
    part: Any = model
    while part is not None:
        if kin(part) & _TEXT:
            return True
        part = first_step(part)
    return False
