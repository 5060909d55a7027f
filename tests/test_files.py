"""Small files, written whole or not at all."""

from pathlib import Path

import pytest

from boxship.files import sync, write_whole


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "a"
    for text in ("one", "zwölf\n"):
        write_whole(file, text)
        assert file.read_text(encoding="utf-8") == text
        assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_whole(file, "one")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "\ud800")
    assert file.read_text() == "one"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_not_there_cannot_be_kept(tmp_path: Path) -> None:
    sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "a")
