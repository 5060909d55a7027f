"""The one place that starts a program."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from boxship import process


def run(code: str, **options: object) -> int:
    async def started() -> int:
        argv = [sys.executable, "-I", "-c", code, "an argument; $HOME"]
        environ = {"ONLY": "this"}
        child = await process.start(argv, environ=environ, **options)  # type: ignore[arg-type]
        return await child.wait()

    return asyncio.run(started())


@contextmanager
def standard_input(fd: int) -> Iterator[None]:
    kept = os.dup(0)
    os.dup2(fd, 0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


def test_a_program_gets_its_arguments_and_nothing_else(tmp_path: Path) -> None:
    """No shell reads the arguments; the environment is the one given; nothing is typed in."""
    file = tmp_path / "found"
    code = (
        "import os, sys; "
        f"open({str(file)!r}, 'w').write(repr((sys.argv[1:], os.environ.get('ONLY'), "
        "'HOME' in os.environ, sys.stdin.read(), os.getpgrp() == os.getpid())))"
    )
    typed = tmp_path / "typed"
    typed.write_text("typed")
    with typed.open() as source, standard_input(source.fileno()):
        assert run(code) == 0
    assert file.read_text() == repr((["an argument; $HOME"], "this", False, "", True))


def test_a_program_inherits_only_the_descriptors_it_is_given() -> None:
    reader, writer = os.pipe()
    hidden, shut = os.pipe()
    for fd in (writer, shut):
        os.set_inheritable(fd, True)
    code = (
        f"import os; os.write({writer}, b'heard')\n"
        f"try: os.write({shut}, b'heard')\n"
        "except OSError: pass"
    )
    assert run(code, pass_fds=[writer]) == 0
    os.close(writer)
    os.close(shut)
    assert (os.read(reader, 9), os.read(hidden, 9)) == (b"heard", b"")
    os.close(reader)
    os.close(hidden)


def test_the_exit_code_is_the_programs() -> None:
    assert run("raise SystemExit(7)") == 7


@pytest.mark.parametrize(
    ("stdout", "stderr", "said"),
    [
        ("out", " error\n", "error"),
        ("out\n", "\n", "out"),
        ("", "\n", "exit code -9"),
        ("", "1" * 3000 + "2", "1" * 1999 + "2"),
    ],
)
def test_what_a_program_said_is_the_end_of_it(stdout: str, stderr: str, said: str) -> None:
    assert process.Done(-9, stdout, stderr).said() == said


def test_all_that_a_program_said_can_be_had() -> None:
    assert process.Done(1, "", "1" * 3000).said(None) == "1" * 3000


def test_the_command_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As it could be pasted into a shell."""
    with caplog.at_level(logging.DEBUG, "boxship.process"):
        run("pass")
    assert caplog.messages == [f"starting {sys.executable} -I -c pass 'an argument; $HOME'"]
