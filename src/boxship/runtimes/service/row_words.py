"""What a field should hold, in words: told from its type, or from what a library says."""

import enum
import json
import typing
from typing import Any, Literal

from boxship.runtimes.service.records import arms, bare, item_of, record_of, value_of

_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "a string",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}


def expected(hint: Any) -> str:
    """A type hint in a few words: ``a number or null``."""
    kinds, nullable = arms(hint)
    words = [_kind_words(kind) for kind in kinds]
    return " or ".join([*words, "null"] if nullable else words)


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


def msgspec_words(message: str, hint: Any) -> str:
    """``Expected `int` >= 0, got `str` `` → ``a whole number >= 0``."""
    message = message.partition(" - at `$")[0]
    if message.startswith("Expected `"):
        names, _, bounds = message.removeprefix("Expected `").partition("`")
        words = " or ".join(_WORDS.get(name, f"a {name}") for name in names.split(" | "))
        return words + bounds.partition(", got")[0]
    if message.startswith("Invalid enum value"):
        return expected(hint)
    return _own_check(message)


def pydantic_words(message: str) -> str:
    """``Input should be a valid number, unable to parse …`` → ``a valid number``."""
    own = message.partition("Value error, ")[2] or message.partition("Assertion failed, ")[2]
    if own:
        return _own_check(own)
    return message.removeprefix("Input should be ").partition(", unable to")[0]


def _own_check(message: str) -> str:
    return f"what the model's own check accepts ({message})"
