"""A small request that has arrived whole, and what may answer it without ASGI."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from boxship.serve.messages import Header


class Arrived(NamedTuple):
    """A POST request as the connection has read it, with its whole body.

    ``url`` is as the client wrote it, header names are in lower case. ``gone`` tells
    whether the client has ended its side of the connection since.
    """

    url: bytes
    headers: Sequence[Header]
    body: bytes
    client: tuple[str, int] | None
    gone: Callable[[], bool]


class Answer(NamedTuple):
    """A whole HTTP/1.1 response; ``close`` says that it is the connection's last."""

    data: bytes
    close: bool = False


class Later:
    """An answer that is still to come; who wants it sets ``deliver``."""

    __slots__ = ("deliver",)

    deliver: Callable[[bytes, bool], None]
    """Takes what an ``Answer`` holds."""


DirectHandler = Callable[[Arrived], "Answer | Later | None"]
"""Answers at once or later; None leaves the request to the ASGI application."""
