"""JSON that a client sent and that was refused: read again, and told in words.

The way to an answer never comes through here, so it may be slow where that makes
the words better.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from boxship.errors import MalformedError, Problem

MAX_PROBLEMS: Final = 20
"""Problems that one answer lists: enough to mend a request, not enough to flood a client."""

TOO_DEEP: Final = "expected JSON of a few levels, found it nested too deep"

_SHOWN: Final = 60
_REREAD_BYTES: Final = 2 * 1024 * 1024
"""Some 50 milliseconds; nobody else is answered meanwhile."""
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")

Loc = tuple[str | int, ...]
"""The path to a place in the content, outermost first, as in ``Problem``."""


def parse(body: bytes) -> Any:
    """The body as JSON, numbers beyond every double as infinity.

    Raises ``MalformedError`` with the place of the fault.
    """
    try:
        content = json.loads(
            body.decode("utf-8"), parse_int=_integer, parse_constant=_refuse_constant
        )
        if _SURROGATE.search(body):
            # Half a surrogate pair is no text: it could not even be quoted in the answer.
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise MalformedError(
            f"expected JSON in UTF-8, found the byte 0x{body[error.start]:02x} "
            f"at position {error.start}"
        ) from None
    except json.JSONDecodeError as error:
        found = "an empty body" if not body.strip() else f"{error.msg} at position {error.pos}"
        raise MalformedError(f"expected JSON, found: {found}") from None
    except RecursionError:
        raise MalformedError(TOO_DEEP) from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise MalformedError(
            f"expected JSON, found: {half}, which is half of a surrogate pair"
        ) from None
    except ValueError as error:
        raise MalformedError(f"expected JSON, found: {error}") from None
    else:
        return content


def reread(body: bytes, refusal: Exception) -> Any:
    """``parse``, for a body that was refused: unless that would take long, to say what is wrong.

    Raises ``MalformedError`` with the words of the ``refusal`` where the body is large.
    """
    if len(body) > _REREAD_BYTES:
        said = str(refusal) or type(refusal).__name__
        raise MalformedError(f"expected JSON that fits the model, found: {short(said)}")
    return parse(body)


def _integer(digits: str) -> float:
    """Beyond a number of digits that no integer here has, a float, which may be infinite."""
    return int(digits) if len(digits) <= _SHOWN else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have")


def shown(value: Any) -> str:
    """A JSON value in words, short enough for a message."""
    match value:
        case None | bool():
            return json.dumps(value)
        case float() if not math.isfinite(value):
            return "a number that is too large"
        case int() | float():
            return f"the number {short(json.dumps(value))}"
        case str():
            return f"the string {short(json.dumps(value, ensure_ascii=False))}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"


def short(text: str) -> str:
    """What a client sent, cut to a length that a message bears."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def unknown_field(loc: Loc, name: str, expected: str, known: Iterable[str]) -> Problem:
    """A field that nobody asked for, and the one of ``known`` that was perhaps meant."""
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= _SHOWN else ()
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    return Problem((*loc, short(name)), expected, f"an unknown field{meant}")
