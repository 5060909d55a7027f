"""Every problem of a JSON row, not only the first.

Decoders stop at the first thing that is wrong. This walks a refused row along its
type, so that one answer names everything that must be mended.
"""

import enum
import json
import math
import re
import typing
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

from boxship.errors import MalformedError, Problem
from boxship.runtimes.service.records import Record, arms, bare, item_of, record_of, value_of

Loc = tuple[str | int, ...]
MAX_PROBLEMS = 100
"""A body with more is wrong throughout; naming more helps nobody and costs time."""

_WORDS = {
    "float": "a number",
    "int": "an integer",
    "str": "a string",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}
_LONGEST_INTEGER = 400
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def load_json(body: bytes) -> Any:
    """The JSON of ``body``, with numbers beyond a double's range as infinity."""
    try:
        value = json.loads(body, parse_int=_integer, parse_constant=_no_constant)
        if _SURROGATE.search(body):
            # Half a surrogate pair is no text: it could not even be quoted in the answer.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        raise malformed(error, body) from error
    return value


def malformed(error: ValueError, body: bytes) -> MalformedError:
    """What is broken, and at which byte."""
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return MalformedError(f"The body is not valid JSON: byte {wrong.start} is not UTF-8.")
    text = str(error)
    if "truncated" in text:
        text = f"it ends too early, after byte {len(body)}"
    return MalformedError(
        f"The body is not valid JSON: {text.removeprefix('JSON is malformed: ')}."
    )


def too_deep() -> MalformedError:
    return MalformedError("The body is nested too deeply.")


def describe(value: Any) -> str:
    """A JSON value in a few words: ``the string "abc"``, ``an object``, ``null``."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "a number beyond the range of a double"
    if isinstance(value, int | float):
        return f"the number {_short(repr(value))}"
    if isinstance(value, str):
        return f"the string {_short(json.dumps(value, ensure_ascii=False))}"
    return "an object" if isinstance(value, dict) else f"a list of {len(value)}"


def expected(hint: Any) -> str:
    """A type hint in a few words: ``a number or null``."""
    kinds, nullable = arms(hint)
    words = [_kind_words(kind) for kind in kinds]
    return " or ".join([*words, "null"] if nullable else words)


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
            yield Problem(loc, expected(hint), describe(value))
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
        yield Problem(loc, "a finite number", describe(value))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from non_finite(element, (*loc, index))
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from non_finite(element, (*loc, key))


def unknown_field(name: str, record: Record, loc: Loc) -> Problem:
    """An extra field, with the field that was perhaps meant."""
    guess = get_close_matches(name, sorted(record.known), n=1)
    hint = f" (did you mean {guess[0]!r}?)" if guess else ""
    return Problem((*loc, name), f"a field of {record.name}", f"an unknown field{hint}")


KeyCheck = Callable[[Any], bool]


def key_check(hint: Any) -> KeyCheck | None:
    """A fast test that a decoded JSON value has no unknown fields; ``None`` where all may."""
    return _key_check(hint, {})


def _key_check(hint: Any, memo: dict[Any, KeyCheck | None]) -> KeyCheck | None:
    kinds, _ = arms(hint)
    kind = kinds[0] if len(kinds) == 1 else None
    record, item, held = record_of(kind), item_of(kind), value_of(kind)
    if record is not None:
        return _record_check(record, memo)
    if item is not None and (of_item := _key_check(item, memo)):
        return lambda value: value is None or all(map(of_item, value))
    if held is not None and (of_held := _key_check(held, memo)):
        return lambda value: value is None or all(map(of_held, value.values()))
    return None


def _record_check(record: Record, memo: dict[Any, KeyCheck | None]) -> KeyCheck | None:
    if record.type in memo:
        # A type within itself: its check is looked up when it runs, after it was made.
        return lambda value: _recurse(memo[record.type], value)
    memo[record.type] = None
    checks = [(field.name, _key_check(field.hint, memo)) for field in record.fields]
    nested = [(name, check) for name, check in checks if check is not None]
    if not record.closed and not nested:
        return None
    known = record.known if record.closed else None

    def check(value: Any) -> bool:
        if value is None:
            return True
        if known is not None and not known.issuperset(value):
            return False
        return all(inner(value[name]) for name, inner in nested if name in value)

    memo[record.type] = check
    return check


def _recurse(check: KeyCheck | None, value: Any) -> bool:
    return check is None or check(value)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else math.inf


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kind_words(kind: Any) -> str:
    kind = bare(kind)
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(_choice, typing.get_args(kind)))}"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(_choice(member.value) for member in kind)}"
    if record_of(kind) is not None or value_of(kind) is not None or kind is dict:
        return "an object"
    if item_of(kind) is not None:
        return "a list"
    name = getattr(kind, "__name__", "value")
    return _WORDS.get(name, f"a {name}")


def _choice(value: Any) -> str:
    return json.dumps(value, default=str)


def _object_problems(value: dict[str, Any], record: Record, loc: Loc) -> Iterator[Problem]:
    for field in record.fields:
        if field.name in value:
            yield from problems(value[field.name], field.hint, (*loc, field.name))
        elif field.required:
            yield Problem((*loc, field.name), expected(field.hint), "no such field")
    if record.closed:
        for name in value.keys() - record.known:
            yield unknown_field(name, record, loc)


def _leaf_problems(value: Any, hint: Any, loc: Loc) -> Iterator[Problem]:
    huge = list(non_finite(value, loc))
    if huge:
        yield from huge
        return
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=hint)
    except msgspec.ValidationError as error:
        yield Problem(loc, _wanted(str(error), hint), describe(value))


def _wanted(message: str, hint: Any) -> str:
    """A message of msgspec as what was expected: ``Expected `int` >= 0, got …`` → an integer >= 0."""
    message = message.partition(" - at `$")[0]
    if message.startswith("Expected `"):
        names, _, bounds = message.removeprefix("Expected `").partition("`")
        words = " or ".join(_WORDS.get(name, f"a {name}") for name in names.split(" | "))
        return words + bounds.partition(", got")[0]
    if message.startswith("Invalid enum value"):
        return expected(hint)
    return f"what the model's own check accepts ({message})"
