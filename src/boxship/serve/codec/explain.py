"""What is wrong with JSON that does not fit a signature: every problem, in words.

The way to an answer never comes through here; only a body that was refused is
read again, slowly and completely.
"""

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NoReturn

from boxship.errors import MalformedError, Problem
from boxship.signature import TensorSpec

MAX_PROBLEMS = 20
"""Problems that one answer lists: enough to mend a request, not enough to flood a client."""

_SHOWN = 60
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> Any:
    """The body as JSON; raises ``MalformedError`` with the place of the fault."""
    try:
        content = json.loads(
            body.decode("utf-8"), parse_int=_integer, parse_constant=_refuse_constant
        )
        if _SURROGATE.search(body):
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
        raise MalformedError("expected JSON of a few levels, found it nested too deep") from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise MalformedError(
            f"expected JSON, found: {half}, which is half of a surrogate pair"
        ) from None
    except ValueError as error:
        raise MalformedError(f"expected JSON, found: {error}") from None
    else:
        return content


def _integer(digits: str) -> float:
    """Beyond a number of digits that no integer here has, a float, which may be infinite."""
    return int(digits) if len(digits) <= _SHOWN else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have")


def rows(content: Any, columns: Sequence[TensorSpec], max_rows: int) -> list[Problem]:
    """Every problem with a ``/predict`` body, at most ``MAX_PROBLEMS``."""
    specs = {spec.name: spec for spec in columns}
    if not isinstance(content, list):
        found = _row(content, specs, ())
    elif 0 < len(content) <= max_rows:
        found = chain.from_iterable(_row(row, specs, (at,)) for at, row in enumerate(content))
    else:
        return [row_count(len(content), max_rows)]
    return list(islice(found, MAX_PROBLEMS))


def row_count(found: int, max_rows: int) -> Problem:
    """The problem with a list of no rows, or of too many."""
    return Problem((), f"a list of 1 to {max_rows} rows", f"{found} rows")


def _row(
    row: Any, specs: Mapping[str, TensorSpec], loc: tuple[str | int, ...]
) -> Iterator[Problem]:
    if not isinstance(row, dict):
        yield Problem(loc, "an object with one field per column", shown(row))
        return
    for name, value in row.items():
        if name not in specs:
            missing = [other for other in specs if other not in row]
            expectation = f"no such field{_did_you_mean(name, missing)}"
            yield Problem((*loc, short(name)), expectation, shown(value))
    for name, spec in specs.items():
        if name not in row:
            yield Problem((*loc, name), expected(spec), "nothing: it is missing")
        elif not fits(row[name], spec):
            yield Problem((*loc, name), expected(spec), shown(row[name]))


def _did_you_mean(name: str, missing: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, missing, n=1) if len(name) <= _SHOWN else ()
    return f" (did you mean {close[0]!r}?)" if close else ""


def fits(value: Any, spec: TensorSpec) -> bool:
    """Whether one JSON value can be an element of the tensor."""
    if value is None:
        return spec.nullable
    if spec.datatype == "BYTES":
        return isinstance(value, str)
    if spec.datatype == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if spec.datatype.startswith("FP"):
        return isinstance(value, int | float) and _finite(value)
    low, high = integer_range(spec.datatype)
    return isinstance(value, int) and low <= value <= high


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def integer_range(datatype: str) -> tuple[int, int]:
    """The least and the greatest value of INT8 to UINT64."""
    bits = int(datatype.lstrip("UINT"))
    if datatype.startswith("U"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def expected(spec: TensorSpec) -> str:
    """What an element of the tensor is, in words."""
    if spec.datatype == "BYTES":
        words = "a string"
    elif spec.datatype == "BOOL":
        words = "true or false"
    elif spec.datatype.startswith("FP"):
        words = "a finite number"
    else:
        low, high = integer_range(spec.datatype)
        words = f"a whole number from {low} to {high}"
    return f"{words} or null" if spec.nullable else words


def shown(value: Any) -> str:
    """A JSON value in words, short enough for a message."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is too large"
    if isinstance(value, str):
        kind = "the string "
    else:
        kind = "" if value is None or isinstance(value, bool) else "the number "
    return kind + short(json.dumps(value, ensure_ascii=False))


def short(text: str) -> str:
    """What a client sent, cut to a length that a message bears."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
