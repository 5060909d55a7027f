"""Every option of serving: what its kind takes, and how the outside names it."""

import math
import re
from typing import Any

import pytest

from boxship import contract
from boxship.settings import (
    Kind,
    Option,
    ServeSettings,
    choice,
    integer,
    options,
    seconds,
    size,
    switch,
    text,
    workers_kind,
)

OPTIONS = {option.key: option for option in options()}


@pytest.mark.parametrize(
    ("kind", "value", "parsed"),
    [
        (integer(1), 1, 1),
        (integer(1), "12", 12),
        (integer(0, 65535), 65535, 65535),
        (integer(0), "0", 0),
        (seconds(), 2, 2.0),
        (seconds(), 0.5, 0.5),
        (seconds(), "1e-3", 0.001),
        (seconds(zero=True), 0, 0.0),
        (size(), 65536, 65536),
        (size(), "65536", 65536),
        (size(), " 5 MB ", 5_000_000),
        (size(), "100mb", 100_000_000),
        (size(), "64KiB", 65536),
        (size(), "1GiB", 2**30),
        (size(), "12b", 12),
        (text(), " ::1 ", "::1"),
        (choice("json", "text"), "text", "text"),
        (switch(), True, True),
        (switch(), "off", False),
        (switch(), "YES", True),
        (switch(), 1, True),
        (switch(), "0", False),
        (workers_kind(), "auto", "auto"),
        (workers_kind(), "4", 4),
        (workers_kind(), 1024, 1024),
    ],
)
def test_a_kind_takes(kind: Kind, value: object, parsed: object) -> None:
    """A value of the file, or the same as a string of the environment or a flag."""
    found = kind.parse(value)
    assert (found, type(found)) == (parsed, type(parsed))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (integer(1), 0),
        (integer(1), "-1"),
        (integer(1), True),
        (integer(1), 2.0),
        (integer(1), "2.5"),
        (integer(1), ""),
        (integer(1), None),
        (integer(1), "9" * 5000),
        (integer(0, 65535), 65536),
        (seconds(), 0),
        (seconds(), -1),
        (seconds(zero=True), -0.001),
        (seconds(), math.inf),
        (seconds(), "nan"),
        (seconds(), "5s"),
        (seconds(), True),
        (seconds(), None),
        (seconds(), 10**400),
        (size(), 0),
        (size(), "0MB"),
        (size(), -1),
        (size(), 1.5),
        (size(), "1.5MB"),
        (size(), "5 parsecs"),
        (size(), ""),
        (size(), True),
        (size(), None),
        (size(), "9" * 5000),
        (text(), ""),
        (text(), " "),
        (text(), 3),
        (choice("json", "text"), "xml"),
        (choice("json", "text"), ["json"]),
        (switch(), "perhaps"),
        (switch(), 2),
        (switch(), None),
        (workers_kind(), "automatic"),
        (workers_kind(), 0),
        (workers_kind(), 1025),
        (workers_kind(), True),
    ],
)
def test_a_kind_refuses(kind: Kind, value: object) -> None:
    """Whatever it is, a value that is not expected is a ValueError and nothing else."""
    with pytest.raises(ValueError):  # noqa: PT011 (the message is the caller's: what was expected)
        kind.parse(value)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (integer(1), "a whole number of at least 1"),
        (integer(0, 9), "a whole number of at least 0 and at most 9"),
        (seconds(), "a number of seconds above zero"),
        (seconds(zero=True), "a number of seconds, zero or more"),
        (size(), "a size such as 100MB or 65536"),
        (text(), "a text that is not empty"),
        (choice("json", "text"), "one of json, text"),
        (switch(), "true or false"),
        (workers_kind(), "a whole number of at least 1 and at most 1024, or auto"),
    ],
)
def test_a_kind_says_what_it_expects(kind: Kind, expected: str) -> None:
    assert kind.expected == expected


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_a_default_is_what_its_own_kind_takes(option: Option) -> None:
    """The default could stand in the file, and in the environment as text."""
    assert option.kind.parse(option.default) == option.default
    assert option.kind.parse(str(option.default)) == option.default
    assert getattr(ServeSettings(), option.key) == option.default


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_an_option_is_described(option: Option) -> None:
    """One line of help, without a full stop; a place holder unless it is a switch."""
    assert re.fullmatch(r"[a-z].{8,90}[^.]", option.help)
    assert bool(option.kind.metavar) != isinstance(option.default, bool)


def names(attribute: str) -> list[str]:
    return [getattr(option, attribute) for option in options()]


@pytest.mark.parametrize("attribute", ["key", "flag", "variable", "help"])
def test_no_two_options_share_a_name(attribute: str) -> None:
    assert len(set(names(attribute))) == len(names(attribute))


def test_names_follow_from_the_key() -> None:
    """A flag drops the unit, a variable keeps it; the port's is what platforms set."""
    assert all(re.fullmatch(r"--[a-z]+(-[a-z]+)*", flag) for flag in names("flag"))
    assert OPTIONS["drain_delay_s"].flag == "--drain-delay"
    assert OPTIONS["drain_delay_s"].variable == "BOXSHIP_SERVE_DRAIN_DELAY_S"
    assert OPTIONS["port"].variable == "PORT"


def test_defaults_are_the_contract() -> None:
    """What the image and the manifests declare is what the server does unasked."""
    settings: Any = ServeSettings()
    assert settings.port == contract.PORT == 8080
    assert settings.keep_alive_s == contract.KEEP_ALIVE_S == 75
    assert settings.drain_delay_s == contract.DRAIN_DELAY_S
    assert settings.request_timeout_s == contract.REQUEST_TIMEOUT_S
    assert settings.max_body_size == contract.MAX_BODY_BYTES
    assert settings.max_rows == contract.MAX_ROWS
