"""Which line of the user's own code is named."""

import json
from pathlib import Path

import pytest

from boxship.runtimes.service.user_code import failure, raised_at


def caught(code: str, filename: str) -> BaseException:
    try:
        exec(compile(code, filename, "exec"), {})
    except (ValueError, ArithmeticError, SyntaxError) as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_innermost_line_of_the_user_is_named_not_the_librarys() -> None:
    error = caught("import json\n\njson.loads('{')\n", "/project/service.py")
    assert raised_at(error) == "/project/service.py:3"


def test_a_file_under_the_current_folder_is_named_shortly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = caught("1 / 0", str(tmp_path / "service.py"))
    assert raised_at(error) == "service.py:1"
    assert failure(error) == "ZeroDivisionError: division by zero (service.py:1)"


@pytest.mark.parametrize(
    "filename", ["/v/lib/python3.11/site-packages/lib.py", "/usr/lib/dist-packages/lib.py", "<x>"]
)
def test_without_a_line_of_the_user_the_one_that_raised_is_named(filename: str) -> None:
    # The first frame is this file's, which is not part of any library.
    assert "test_user_code.py" in raised_at(caught("raise ValueError", filename))
    error = caught("raise ValueError", filename)
    assert error.__traceback__
    assert raised_at(error.with_traceback(error.__traceback__.tb_next)) == f"{filename}:1"


def test_a_syntax_error_is_where_it_is_written() -> None:
    assert raised_at(caught("x = 1\ny =\n", "/project/service.py")) == "/project/service.py:2"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert raised_at(ValueError()) == ""
    assert failure(ValueError()) == "ValueError"
    assert failure(json.JSONDecodeError("bad", "x", 0)).startswith("JSONDecodeError: bad")
