"""The golden request as somebody wrote it: inputs, and the outputs that they are known to have."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxship import suggestions

FILE_NAME = "golden.json"
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class GoldenRequest:
    """``inputs`` is a ``/predict`` body, or a list of V2 tensors; ``outputs`` what it answers.

    Numbers may differ by ``tolerance``, relative or absolute.
    """

    inputs: Any
    outputs: Any
    tolerance: float = _TOLERANCE

    @property
    def is_v2(self) -> bool:
        """Whether the inputs are tensors of the Open Inference Protocol."""
        return _are_tensors(self.inputs, {"name", "datatype"})


def read(value: object, beside: Path, folder: Path, problems: list[str]) -> GoldenRequest | None:
    """The golden request: a table, a file named in ``folder``, or ``golden.json`` in ``beside``."""
    if isinstance(value, dict):
        return _checked(value, "golden", problems)
    if value is not None and not isinstance(value, str):
        problems.append(f"golden: expected a file's name or a table, found {value!r}")
        return None
    path = file(value, beside, folder)
    if path is None:
        return None
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        problems.append(f"golden: expected a file at {path}, found: {error.strerror}")
        return None
    except (ValueError, RecursionError) as error:
        problems.append(f"{path}: expected JSON, found an error: {error}")
        return None
    return _checked(content, str(path), problems)


def file(value: object, beside: Path, folder: Path) -> Path | None:
    """The file that ``read`` reads for the same words, if it is one."""
    if isinstance(value, str):
        # Where it is named, though it may be a link: an image has it there.
        return Path(os.path.normpath(folder / value))
    usual = beside / FILE_NAME
    return usual if value is None and usual.is_file() else None


def _checked(content: object, where: str, problems: list[str]) -> GoldenRequest | None:
    if not isinstance(content, dict) or not {"inputs", "outputs"} <= content.keys():
        problems.append(f'{where}: expected {{"inputs": …, "outputs": …}}, found {content!r:.80}')
        return None
    problems += suggestions.unknown(content, ("inputs", "outputs", "tolerance"), where)
    tolerance = content.get("tolerance", _TOLERANCE)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        tolerance = math.nan
    if not 0 <= tolerance < math.inf:
        found = content["tolerance"]
        problems.append(f"{where}: tolerance: expected a number of at least 0, found {found!r}")
    request = GoldenRequest(content["inputs"], content["outputs"], float(tolerance))
    if request.is_v2 and not _are_tensors(request.outputs, {"name"}):
        problems.append(
            f"{where}: outputs: expected a list of V2 tensors, as the inputs are "
            f'([{{"name": …, "data": […]}}]), found {request.outputs!r:.80}'
        )
    return request


def _are_tensors(value: object, keys: set[str]) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(entry, Mapping) and keys <= entry.keys() for entry in value)
    )
