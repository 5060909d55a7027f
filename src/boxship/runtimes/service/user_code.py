"""Where in the user's own code an exception was raised."""

import sysconfig
import traceback
from pathlib import Path

_BOXSHIP = str(Path(__file__).resolve().parents[2])
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")


def raised_at(error: BaseException) -> str:
    """``service.py:12``: the innermost line of the user's code that led to ``error``.

    Where no line is the user's own, it is the line that raised; empty where the
    exception has no traceback.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)] or frames[-1:]
    return f"{_short(own[-1].filename)}:{own[-1].lineno}" if own else ""


def failure(error: BaseException) -> str:
    """``ValueError: bad weights (service.py:12)``: type, message and place, for one line."""
    text = str(error)
    place = raised_at(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{said} ({place})" if place else said


def _is_users(filename: str) -> bool:
    if filename.startswith(("<", _BOXSHIP)):
        return False
    parts = Path(filename).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    return not filename.startswith(_STANDARD_LIBRARY)


def _short(filename: str) -> str:
    path = Path(filename)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return filename
