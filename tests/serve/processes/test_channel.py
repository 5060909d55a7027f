"""What supervisor and worker say to each other."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.golden import GoldenRequest
from boxship.project import Project
from boxship.serve.lifecycle import Phase
from boxship.serve.processes import channel
from boxship.serve.processes.channel import (
    Close,
    Drain,
    Failed,
    Loaded,
    Message,
    Progress,
    Start,
    WorkerEnd,
)
from boxship.settings import ServeSettings
from boxship.signature import TensorSpec

PROJECT = Project(
    folder=Path("/srv/churn"),
    name="churn",
    version="3",
    model_path="/models/Größe\n.pkl",
    inputs=(
        TensorSpec(name="age", datatype="INT64", example=30),
        TensorSpec(name="city", datatype="BYTES", nullable=True, description="a 🏙", example="Rome"),
    ),
    code=("src",),
    trust=("churn.features",),
    trust_all=True,
    golden=GoldenRequest([{"age": 30, "city": None}], [{"score": 0.1}], 0.5),
    serve=ServeSettings(port=0, workers=2, log_format="json", drain_delay_s=0.5, access_log=True),
)
START = Start(
    project=PROJECT,
    slot=1,
    threads=2,
    digest="sha256:0",
    stamp="1",
    version="3",
    metrics=Path("/tmp/metrics"),
)


@pytest.mark.parametrize(
    "message",
    [
        START,
        Drain(),
        Close(),
        Progress(Phase.WARM_UP),
        Progress(Phase.GOLDEN, "line one\nline two"),
        Loaded("onnxruntime 1.20", 1.25, ("a note", "another")),
        Failed("It failed.\nBadly.", 3),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_is_one_line_and_comes_out_as_it_went_in(message: Message) -> None:
    line = channel.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert channel.decode(line) == message


def test_a_project_without_anything_comes_out_as_it_went_in() -> None:
    start = Start(
        project=Project(folder=Path("/"), name="x"),
        slot=0,
        threads=1,
        digest="",
        stamp="",
        version="1",
        metrics=Path("/tmp"),
    )
    assert channel.decode(channel.encode(start)) == start


def test_what_no_message_may_hold() -> None:
    """A mistake of ours, so no error of the user's."""
    project = Project(folder=Path("/"), name="x", golden=GoldenRequest(object(), 1))
    with pytest.raises(NotImplementedError):
        channel.encode(
            Start(
                project=project,
                slot=0,
                threads=1,
                digest="",
                stamp="",
                version="1",
                metrics=Path("/"),
            )
        )
    with pytest.raises(NotImplementedError):
        channel._decode_other(complex, "1+2j")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, WorkerEnd]]:
    ours, theirs = socket.socketpair()
    yield ours, WorkerEnd(theirs)
    ours.close()
    theirs.close()


Ends = tuple[socket.socket, WorkerEnd]


def test_a_worker_speaks_in_lines(ends: Ends) -> None:
    supervisor, worker = ends
    worker.send(Progress(Phase.LOAD))
    worker.send(Loaded("x", 1.0))
    lines = supervisor.recv(65536).splitlines(keepends=True)
    assert [channel.decode(line) for line in lines] == [Progress(Phase.LOAD), Loaded("x", 1.0)]


def test_a_worker_hears_messages_however_they_are_cut(ends: Ends) -> None:
    """Half a line, or several at once."""
    supervisor, worker = ends
    whole = channel.encode(START) + channel.encode(Drain()) + channel.encode(Close())
    supervisor.sendall(whole[:10])
    supervisor.sendall(whole[10:])
    assert worker.receive() == START
    assert worker.buffered
    assert [worker.receive(), worker.receive()] == [Drain(), Close()]
    assert not worker.buffered


def test_a_long_message_is_heard_whole(ends: Ends) -> None:
    """Longer than one read of the socket."""
    supervisor, worker = ends
    message = Failed("x" * 100_000, 1)
    supervisor.sendall(channel.encode(message))
    assert worker.receive() == message


def test_a_supervisor_that_is_gone(ends: Ends) -> None:
    """Says nothing, and hears nothing; the worker is not harmed by either."""
    supervisor, worker = ends
    supervisor.sendall(b'{"type":"Dra')
    supervisor.close()
    assert worker.receive() is None
    worker.send(Progress(Phase.LOAD))


def test_a_supervisor_that_went_without_listening(ends: Ends) -> None:
    """What it had not read makes the system say 'reset'; to the worker it is gone all the same."""
    supervisor, worker = ends
    worker.send(Progress(Phase.LOAD))
    supervisor.close()
    assert worker.receive() is None
