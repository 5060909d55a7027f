"""What an ONNX file says of itself in its metadata: columns, answers, proof.

``boxship convert`` writes these keys; anybody may. Each holds JSON.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxship import proof as proofs
from boxship.errors import ModelError
from boxship.proof import PROOF_KEY, Proof
from boxship.signature import Answer, TensorSpec

COLUMNS_KEY = "boxship.columns"
"""A list of the columns: their names, or objects with ``name`` and, where there is something to
say, ``nullable``, ``example``, ``description`` and ``missing``, the string that stands for a
missing one."""

ANSWERS_KEY = "boxship.answers"
"""A list of the fields of a ``/predict`` answer: objects with ``name``, ``output`` and, where
there is something to say, ``index``, ``classes`` and ``description``."""

_NO_COLUMNS = "is no JSON list of strings"
_NO_ANSWERS = "is no JSON list of objects with a `name` and an `output`"
_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    "nullable": bool,
    "example": (str, int, float),
    "description": str,
    "missing": str,
}


@dataclass(frozen=True)
class KnownColumn:
    """One column as the file describes it. ``described`` says that it is more than a name."""

    name: str
    nullable: bool = False
    example: Any = None
    description: str = ""
    missing: str | None = None
    described: bool = False


def known_columns(metadata: Mapping[str, str]) -> tuple[KnownColumn, ...]:
    """The columns that the metadata names. Raises ``ModelError`` where it cannot be read."""
    return tuple(_column(item, metadata) for item in _list(metadata, COLUMNS_KEY, _NO_COLUMNS))


def _column(item: Any, metadata: Mapping[str, str]) -> KnownColumn:
    if isinstance(item, str):
        return KnownColumn(item)
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("name"), str)
        or any(not isinstance(item[key], kind) for key, kind in _OPTIONAL.items() if key in item)
    ):
        raise _wrong(
            metadata,
            COLUMNS_KEY,
            f"{_NO_COLUMNS}, nor of objects with a `name`",
            "Write it with `json.dumps(list_of_column_names)`, or remove it.",
        )
    said = {key: item[key] for key in _OPTIONAL if key in item}
    return KnownColumn(item["name"], **said, described=True)


def known_answers(metadata: Mapping[str, str], outputs: Sequence[TensorSpec]) -> tuple[Answer, ...]:
    """The answers that the metadata names, empty where it names none.

    Raises ``ModelError`` where it cannot be read, or does not fit ``outputs``.
    """
    by_name = {spec.name: spec for spec in outputs}
    answers = tuple(
        _answer(item, metadata, by_name) for item in _list(metadata, ANSWERS_KEY, _NO_ANSWERS)
    )
    names = [answer.name for answer in answers]
    if len(set(names)) != len(names):
        raise _wrong_answers(metadata, "names an answer twice")
    return answers


def _answer(item: Any, metadata: Mapping[str, str], outputs: Mapping[str, TensorSpec]) -> Answer:
    if not isinstance(item, dict) or not all(
        isinstance(item.get(key), str) for key in ("name", "output")
    ):
        raise _wrong_answers(metadata, _NO_ANSWERS)
    index, classes = item.get("index"), item.get("classes", [])
    description = item.get("description", "")
    if (
        (index is not None and type(index) is not int)
        or not isinstance(description, str)
        or not isinstance(classes, list)
        or not all(isinstance(name, str) for name in classes)
    ):
        raise _wrong_answers(metadata, f"says something unreadable of `{item['name']}`")
    if item["output"] not in outputs:
        raise _wrong_answers(
            metadata, f"reads `{item['name']}` from `{item['output']}`, which is no output"
        )
    width = outputs[item["output"]].shape[-1] if len(outputs[item["output"]].shape) > 1 else 0
    if width >= 0 and (
        (index is not None and not 0 <= index < width) or (classes and len(classes) != width)
    ):
        raise _wrong_answers(
            metadata, f"reads `{item['name']}` from an output with a last axis of {width}"
        )
    return Answer(
        name=item["name"],
        output=item["output"],
        index=index,
        classes=tuple(classes),
        description=description,
    )


def known_proof(metadata: Mapping[str, str], path: Path) -> tuple[Proof | None, tuple[str, ...]]:
    """The proof in the file at ``path``, and what is to be said of it when it is served.

    A proof that cannot be read, or that speaks of other bytes, is told and is no reason not
    to serve: the model may be as good as ever, but then nobody has shown it.
    """
    text = metadata.get(PROOF_KEY)
    if text is None:
        return None, ()
    try:
        proof = proofs.from_json(text)
    except ModelError as error:
        return None, (error.paragraph(),)
    if not proofs.holds(path, text, proof):
        changed = (
            f"{path.name} was changed since it was converted from {proof.source}, so its parity "
            "proof does not hold for it. Convert the model again."
        )
        return None, (changed,)
    return proof, (proofs.sentence(proof),)


def _list(metadata: Mapping[str, str], key: str, expected: str) -> list[Any]:
    text = metadata.get(key)
    if text is None:
        return []
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, list):
        raise _wrong(metadata, key, expected, "Write it with `json.dumps`, or remove it.")
    return content


def _wrong_answers(metadata: Mapping[str, str], what: str) -> ModelError:
    return _wrong(metadata, ANSWERS_KEY, what, "Convert the model again, or remove the key.")


def _wrong(metadata: Mapping[str, str], key: str, what: str, tip: str) -> ModelError:
    return ModelError(f"The model's metadata `{key}` {what}: {metadata[key][:80]}", tip=tip)
