"""What is wrong with JSON that does not fit a signature: every problem, in words.

The way to an answer never comes through here; only a body that was refused is
read again, slowly and completely.
"""

import difflib
import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from boxship.errors import MalformedError, Problem
from boxship.signature import TensorSpec

MAX_PROBLEMS = 20
"""Problems that one answer lists: enough to mend a request, not enough to flood a client."""

_SHOWN = 60


def parse(body: bytes) -> Any:
    """The body as JSON; raises ``MalformedError`` with the place of the fault."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
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
    except ValueError as error:
        # A number of thousands of digits, or NaN and Infinity, which JSON does not have.
        raise MalformedError(f"expected JSON, found: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have")


def rows(content: Any, columns: Sequence[TensorSpec], max_rows: int) -> list[Problem]:
    """Every problem with a ``/predict`` body, at most ``MAX_PROBLEMS``."""
    problems: list[Problem] = []
    if isinstance(content, list):
        if not 0 < len(content) <= max_rows:
            return [row_count(len(content), max_rows)]
        for index, row in enumerate(content):
            problems += _row(row, columns, (index,))
            if len(problems) >= MAX_PROBLEMS:
                break
    else:
        problems = _row(content, columns, ())
    # msgspec refuses a few things that Python's json takes, such as 1e999.
    return problems[:MAX_PROBLEMS] or [Problem((), "a row the model's signature takes", "another")]


def row_count(found: int, max_rows: int) -> Problem:
    """The problem with a list of no rows, or of too many."""
    return Problem((), f"a list of 1 to {max_rows} rows", f"{found} rows")


def _row(row: Any, columns: Sequence[TensorSpec], loc: tuple[str | int, ...]) -> list[Problem]:
    if not isinstance(row, dict):
        return [Problem(loc, "an object with one field per column", shown(row))]
    names = [spec.name for spec in columns]
    problems = [
        Problem((*loc, name), f"no such field{_did_you_mean(name, names, row)}", shown(value))
        for name, value in row.items()
        if name not in names
    ]
    for spec in columns:
        if spec.name not in row:
            problems.append(Problem((*loc, spec.name), expected(spec), "nothing: it is missing"))
        elif not fits(row[spec.name], spec):
            problems.append(Problem((*loc, spec.name), expected(spec), shown(row[spec.name])))
    return problems


def _did_you_mean(name: str, names: Sequence[str], row: dict[str, Any]) -> str:
    missing = [candidate for candidate in names if candidate not in row]
    close = difflib.get_close_matches(name, missing, n=1)
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
    if isinstance(value, str):
        kind = "the string "
    else:
        kind = "" if value is None or isinstance(value, bool) else "the number "
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:
        return "a number of too many digits"
    return kind + (text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
