"""What the supervisor and a worker say to each other: JSON lines over a socket pair."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from boxship.project import Project
from boxship.serve.lifecycle import Phase


class Start(msgspec.Struct, tag=True, frozen=True):
    """To the worker: what to serve, and its place among the workers."""

    project: Project
    slot: int
    threads: int
    digest: str
    stamp: str
    version: str
    metrics: Path


class Accept(msgspec.Struct, tag=True, frozen=True):
    """To the worker, once it has loaded: take connections. Without it none is ever its own."""


class Drain(msgspec.Struct, tag=True, frozen=True):
    """To the worker: say unready, close each connection with its next answer."""


class Close(msgspec.Struct, tag=True, frozen=True):
    """To the worker: stop accepting, finish what is in flight, end."""


class Retire(msgspec.Struct, tag=True, frozen=True):
    """To the worker: another takes its place. Accept no more, close each connection in its turn."""


class ReloadFailed(msgspec.Struct, tag=True, frozen=True):
    """To the worker: no other takes its place, and why."""

    detail: str


class Progress(msgspec.Struct, tag=True, frozen=True):
    """From the worker: the phase it has entered."""

    phase: Phase
    detail: str = ""


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """From the worker: ready to accept, with what the start-up line tells."""

    runtime: str
    load_s: float
    notes: tuple[str, ...] = ()


class Failed(msgspec.Struct, tag=True, frozen=True):
    """From the worker, its last words: why it cannot serve, and the exit code that says so."""

    message: str
    exit_code: int


Message = Start | Accept | Drain | Retire | ReloadFailed | Close | Progress | Loaded | Failed


def _encode_other(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _decode_other(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message, dec_hook=_decode_other)


def encode(message: Message) -> bytes:
    """One line."""
    return _encoder.encode(message) + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line."""
    return _decoder.decode(line)


class WorkerEnd:
    """The worker's end, used while the worker blocks in a model's load: no event loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    def send(self, message: Message) -> None:
        """Say it; a supervisor that is gone hears nothing, and the worker ends on its own."""
        with suppress(ConnectionError):
            self.sock.sendall(encode(message))

    @property
    def buffered(self) -> bool:
        """Whether a whole message has already arrived."""
        return b"\n" in self._buffer

    def receive(self) -> Message | None:
        """The next message; None when the supervisor is gone. Blocks as the socket does."""
        while not self.buffered:
            try:
                chunk = self.sock.recv(65536)
            except ConnectionError:
                # It ended before it read all that was said to it.
                return None
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return decode(line)
