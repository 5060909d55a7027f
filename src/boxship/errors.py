"""The exceptions that more than one room knows.

Two families. A ``BoxshipError`` ends a command: it carries the exit code and,
where there is one, the next step to take; the command line prints it and no
traceback. A ``RequestError`` ends one request: it carries no HTTP status, since
which status an error deserves is the server's knowledge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_MODEL = 3
EXIT_UNTRUSTED = 4
EXIT_ADDRESS = 5
EXIT_FETCH = 6
EXIT_DIGEST = 7
EXIT_IMAGE = 8
EXIT_BUILD = 9
EXIT_PIPE = 141
"""A pipe that nobody reads any more: 128 and SIGPIPE's number."""
EXIT_TERMINATED = 143
"""SIGTERM, as shells count it: 128 and the signal's number."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells count it: 128 and the signal's number."""


class BoxshipError(Exception):
    """Something the user can mend. ``tip`` is the next step, one sentence."""

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, *, tip: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tip = tip
        if exit_code is not None:
            self.exit_code = exit_code

    def paragraph(self) -> str:
        """The message and the next step, as one paragraph."""
        return f"{self.message} {self.tip}".strip()


class UsageError(BoxshipError):
    """A command line, an environment variable or a ``boxship.toml`` that cannot be obeyed."""

    exit_code = EXIT_USAGE


class ModelError(BoxshipError):
    """The model cannot be found, read, recognised or loaded."""

    exit_code = EXIT_MODEL


class UntrustedModelError(ModelError):
    """The model is a pickle that names code which nobody has vouched for."""

    exit_code = EXIT_UNTRUSTED


class FetchError(ModelError):
    """The model cannot be brought here from its store."""

    exit_code = EXIT_FETCH


class DigestError(ModelError):
    """The bytes are not those that were meant."""

    exit_code = EXIT_DIGEST

    def __init__(self, where: object, expected: str, found: str) -> None:
        super().__init__(
            f"{where}: expected the digest {expected}, found {found}.",
            tip="These are other bytes: nothing was loaded. Check who wrote them, or pin the "
            "digest that was found.",
        )


class ImageError(BoxshipError):
    """An image, or a registry or an engine that keeps images, is not what it should be."""

    exit_code = EXIT_IMAGE


class BuildError(BoxshipError):
    """An image cannot be made of what the project and its lock say."""

    exit_code = EXIT_BUILD


class AddressError(BoxshipError):
    """The server cannot listen where it was told to."""

    exit_code = EXIT_ADDRESS


MISSING: Final = "nothing: it is missing"
"""What is found where a required field or tensor is not there."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one place of a request.

    ``loc`` is the path to the place, outermost first: ``(3, "mean radius")`` is the
    field ``mean radius`` of the fourth row.
    """

    loc: tuple[str | int, ...]
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where()}: expected {self.expected}, found {self.found}"

    def where(self) -> str:
        """The place as a path that can be read: ``[3].mean radius``."""
        path = ""
        for part in self.loc:
            if isinstance(part, int):
                path += f"[{part}]"
            else:
                path += f".{part}" if path else part
        return path or "body"


class RequestError(Exception):
    """A request that cannot be answered with a prediction."""


class MalformedError(RequestError):
    """The body is not what its content type says: broken JSON, a length that lies."""


class InputError(RequestError):
    """The body is well formed, but its content does not fit the model's signature.

    A ``Service`` may raise it too: ``raise InputError("age must not be negative")``.
    """

    def __init__(self, *problems: "Problem | str") -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems: Sequence[Problem | str] = problems


class UnknownModelError(RequestError):
    """The request names a model or a version that is not served here."""


class OverloadedError(RequestError):
    """There is too much to do. ``retry_after_s`` is when to come back, in whole seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TimeoutExpiredError(RequestError):
    """The answer did not come within the request timeout."""


class PredictionError(RequestError):
    """The model itself failed on input that fits its signature."""
