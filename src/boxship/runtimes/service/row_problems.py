"""Every problem of a JSON row, not only the first.

Decoders stop at the first thing that is wrong. This walks a refused row along its
type, so that one answer names everything that must be mended.
"""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from boxship.errors import MISSING, Problem
from boxship.json_input import Loc, shown, unknown_field
from boxship.runtimes.service.records import Record, arms, item_of, record_of, value_of
from boxship.runtimes.service.row_words import expected, msgspec_words


def problems(value: Any, hint: Any, loc: Loc) -> Iterator[Problem]:
    """Everything in ``value`` that does not fit ``hint``."""
    kinds, nullable = arms(hint)
    if value is None and nullable:
        return
    kind = kinds[0] if len(kinds) == 1 else None
    record, item, held = record_of(kind), item_of(kind), value_of(kind)
    inner: Iterator[Problem] = iter(())
    if record is not None:
        if not isinstance(value, dict):
            yield Problem(loc, expected(hint), shown(value))
            return
        inner = _object_problems(value, record, loc)
    elif item is not None and isinstance(value, list):
        inner = (
            problem
            for index, element in enumerate(value)
            for problem in problems(element, item, (*loc, index))
        )
    elif held is not None and isinstance(value, dict):
        inner = (
            problem
            for key, element in value.items()
            for problem in problems(element, held, (*loc, key))
        )
    sound = True
    for problem in inner:
        sound = False
        yield problem
    if sound:
        yield from _leaf_problems(value, hint, loc)


def non_finite(value: Any, loc: Loc) -> Iterator[Problem]:
    """The numbers of a JSON value that no double holds."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(loc, "a finite number", shown(value))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from non_finite(element, (*loc, index))
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from non_finite(element, (*loc, key))


def extra_field(name: str, record: Record, loc: Loc) -> Problem:
    """A field that ``record`` does not have."""
    return unknown_field(loc, name, f"one of the fields of {record.name}", record.known)


def _object_problems(value: dict[str, Any], record: Record, loc: Loc) -> Iterator[Problem]:
    for field in record.fields:
        if field.name in value:
            yield from problems(value[field.name], field.hint, (*loc, field.name))
        elif field.required:
            yield Problem((*loc, field.name), expected(field.hint), MISSING)
    if record.closed:
        for name in value:
            if name not in record.known:
                yield extra_field(name, record, loc)


def _leaf_problems(value: Any, hint: Any, loc: Loc) -> Iterator[Problem]:
    huge = list(non_finite(value, loc))
    if huge:
        yield from huge
        return
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=hint)
    except msgspec.ValidationError as error:
        yield Problem(loc, msgspec_words(str(error), hint), shown(value))
