"""Large ``/predict`` bodies, read and written a slice of rows at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from boxship.errors import InputError, MalformedError, Problem
from boxship.json_input import MAX_PROBLEMS, TOO_DEEP
from boxship.serve.codec import explain
from boxship.serve.codec.models import ServedModel
from boxship.serve.turns import LARGE_BYTES, LARGE_ROWS, Turns

_raw_rows = msgspec.json.Decoder(list[msgspec.Raw])


def decode_rows(model: ServedModel, body: bytes, max_rows: int) -> Turns[tuple[Any, int, bool]]:
    """``model.decode_rows`` in turns, with the same answer and the same problems.

    Only a body's first fault in JSON itself is told in fewer words.
    """
    if len(body) <= LARGE_BYTES or body.lstrip(b" \t\r\n")[:1] != b"[":
        return model.decode_rows(body)
    try:
        raws = _raw_rows.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"expected JSON, found: {error}") from None
    except RecursionError:
        raise MalformedError(TOO_DEEP) from None
    yield
    if not 0 < len(raws) <= max_rows:
        raise InputError(explain.row_count(len(raws), max_rows))
    batches: list[Any] = []
    problems: list[Problem | str] = []
    first = 0
    for rows in _slices(raws):
        try:
            batch, _, _ = model.decode_rows(b"[" + b",".join(rows) + b"]")
        except InputError as error:
            problems += [_moved(problem, first) for problem in error.problems]
            if len(problems) >= MAX_PROBLEMS:
                break
        else:
            batches.append(batch)
        first += len(rows)
        yield
    if problems:
        raise InputError(*problems[:MAX_PROBLEMS])
    return model.merge(batches), len(raws), False


def encode_answers(model: ServedModel, outputs: Any, rows: int, *, single: bool) -> Turns[bytes]:
    """``model.encode_answers`` in turns, with the same bytes."""
    if rows <= LARGE_ROWS:
        return model.encode_answers(outputs, single=single)
    sizes = [min(LARGE_ROWS, rows - first) for first in range(0, rows, LARGE_ROWS)]
    texts = []
    for part in model.split(outputs, sizes):
        texts.append(model.encode_answers(part, single=False)[1:-1])
        yield
    return b"[" + b",".join(texts) + b"]"


def _slices(raws: Sequence[msgspec.Raw]) -> Iterator[Sequence[msgspec.Raw]]:
    """Runs of rows, each of about ``LARGE_BYTES`` of text."""
    first = size = 0
    for index, raw in enumerate(raws):
        size += len(bytes(raw))
        if size >= LARGE_BYTES:
            yield raws[first : index + 1]
            first, size = index + 1, 0
    if first < len(raws):
        yield raws[first:]


def _moved(problem: Problem | str, rows: int) -> Problem | str:
    """A problem of a slice's row, at the place that the row has in the body."""
    if isinstance(problem, Problem) and problem.loc and isinstance(problem.loc[0], int):
        return replace(problem, loc=(problem.loc[0] + rows, *problem.loc[1:]))
    return problem
