"""The settings of serving: each option declared once, for file, environment and flags.

Other tables of ``boxship.toml`` declare theirs with the same kinds.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from boxship import contract


@dataclass(frozen=True)
class Kind:
    """How a setting's value is read: ``parse`` raises ``ValueError`` on what is not ``expected``."""

    expected: str
    parse: Callable[[Any], Any]
    metavar: str = "VALUE"


def integer(minimum: int, maximum: int | None = None) -> Kind:
    """A whole number; a string of digits counts, ``true`` and ``2.5`` do not."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        number = int(value)
        if number < minimum or (maximum is not None and number > maximum):
            raise ValueError
        return number

    upper = f" and at most {maximum}" if maximum is not None else ""
    return Kind(f"a whole number of at least {minimum}{upper}", parse, "N")


def seconds(*, zero: bool = False) -> Kind:
    """A finite number of seconds."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        try:
            number = float(value)
        except OverflowError:
            raise ValueError from None
        if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
            raise ValueError
        return number

    return Kind(f"a number of seconds{', zero or more' if zero else ' above zero'}", parse, "S")


def milliseconds() -> Kind:
    """A finite number of milliseconds, zero or more."""
    return Kind("a number of milliseconds, zero or more", seconds(zero=True).parse, "MS")


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def size() -> Kind:
    """Bytes, as a number or with a unit: ``100MB``, ``64KiB``."""

    def parse(value: object) -> int:
        if isinstance(value, bool):
            raise ValueError
        match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", str(value).strip())
        if match is None or match[2].upper() not in _UNITS or int(match[1]) == 0:
            raise ValueError
        return int(match[1]) * _UNITS[match[2].upper()]

    return Kind("a size such as 100MB or 65536", parse, "SIZE")


def text() -> Kind:
    """A string that is not empty."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError
        return value.strip()

    return Kind("a text that is not empty", parse)


def choice(*options: str) -> Kind:
    """One of a few words."""

    def parse(value: object) -> str:
        if value not in options:
            raise ValueError
        return str(value)

    return Kind(f"one of {', '.join(options)}", parse, "|".join(options))


def switch() -> Kind:
    """``true`` or ``false``; from the environment also 1, 0, yes, no, on, off."""
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}

    def parse(value: object) -> bool:
        if isinstance(value, bool):
            return value
        try:
            return words[str(value).lower()]
        except KeyError:
            raise ValueError from None

    return Kind("true or false", parse, "")


def texts() -> Kind:
    """A list of texts; on one line, as flags and the environment give it, commas part them."""

    def parse(value: object) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ValueError
        return tuple(stripped for part in parts if (stripped := part.strip()))

    return Kind("a list of texts", parse, "TEXT,…")


def workers_kind() -> Kind:
    """A number of workers, or ``auto``."""
    number = integer(1, contract.MAX_WORKERS)

    def parse(value: object) -> int | Literal["auto"]:
        return "auto" if value == "auto" else int(number.parse(value))

    return Kind(f"{number.expected}, or auto", parse, "N|auto")


def setting(default: Any, kind: Kind, help_: str, *, variable: str | None = None) -> Any:
    """A field of a settings class; ``variable`` overrides its environment variable's name."""
    metadata = {"kind": kind, "help": help_, "variable": variable}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """``[serve]``: every key has a flag, an environment variable and a default."""

    host: str = setting("0.0.0.0", text(), "address to listen on")  # noqa: S104 (a container's)
    port: int = setting(
        contract.PORT,
        integer(0, 65535),
        "port to listen on; 0 picks a free one",
        # BOXSHIP_SERVE_PORT is what Kubernetes injects for a Service named boxship-serve.
        variable=contract.PORT_VARIABLE,
    )
    workers: int | Literal["auto"] = setting(
        "auto", workers_kind(), "processes that run the model; auto fits CPU and memory limits"
    )
    max_batch_size: int = setting(
        contract.MAX_BATCH_SIZE, integer(1), "rows that one call to the model may hold"
    )
    max_queue_delay_ms: float = setting(
        contract.MAX_QUEUE_DELAY_MS,
        milliseconds(),
        "longest that a request waits for others that are expected; 0: never",
    )
    max_queue_size: int = setting(
        contract.MAX_QUEUE_SIZE, integer(1), "requests that may wait in one worker; more get 503"
    )
    max_rows: int = setting(contract.MAX_ROWS, integer(1), "rows that one request may hold")
    max_body_size: int = setting(
        contract.MAX_BODY_BYTES, size(), "largest request body; larger ones get 413"
    )
    request_timeout_s: float = setting(
        contract.REQUEST_TIMEOUT_S, seconds(), "a request without an answer by then gets 504"
    )
    header_timeout_s: float = setting(
        contract.HEADER_TIMEOUT_S, seconds(), "time a client has to send its request headers"
    )
    body_timeout_s: float = setting(
        contract.BODY_TIMEOUT_S, seconds(), "time a client has to send its request body"
    )
    keep_alive_s: float = setting(
        float(contract.KEEP_ALIVE_S), seconds(), "idle connections are closed after this"
    )
    drain_delay_s: float = setting(
        contract.DRAIN_DELAY_S,
        seconds(zero=True),
        "after SIGTERM, go on accepting this long while load balancers take notice",
    )
    allow_version_skew: bool = setting(
        default=False,
        kind=switch(),
        help_="serve a pickle made with another minor version of scikit-learn than is installed",
    )
    watch_s: float = setting(
        0.0,
        seconds(zero=True),
        "look so often whether the model's address has another object, and reload; 0: never",
    )
    allow_http: bool = setting(
        default=False,
        kind=switch(),
        help_="fetch a model from http:// too, which anybody on the way can change",
    )
    log_format: Literal["auto", "json", "text"] = setting(
        "auto", choice("auto", "json", "text"), "auto: text on a terminal, JSON elsewhere"
    )
    log_level: str = setting(
        "info", choice("debug", "info", "warning", "error"), "least severe message logged"
    )
    access_log: bool = setting(
        default=False,
        kind=switch(),
        help_="log every request, not only errors and slow ones",
    )


@dataclass(frozen=True)
class Option:
    """One settings key as the outside sees it."""

    key: str
    flag: str
    variable: str
    kind: Kind
    default: Any
    help: str


def options(of: type = ServeSettings, table: str = "serve") -> tuple[Option, ...]:
    """Every option of a table of ``boxship.toml``, in declaration order."""
    return tuple(
        Option(
            key=entry.name,
            flag="--" + entry.name.removesuffix("_s").replace("_", "-"),
            variable=entry.metadata["variable"] or f"BOXSHIP_{table.upper()}_{entry.name.upper()}",
            kind=entry.metadata["kind"],
            default=entry.default,
            help=entry.metadata["help"],
        )
        for entry in fields(of)
    )
