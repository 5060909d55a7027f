"""What a project was locked to."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from boxship import lock
from boxship.errors import UsageError
from boxship.lock import Lock, LockedModel

DIGEST = "sha256:" + "ab" * 32


def test_no_lock_is_an_empty_one(tmp_path: Path) -> None:
    assert lock.read(tmp_path) == Lock()


@given(
    location=st.text(min_size=1),
    size=st.integers(0, 2**62),
    trusted=st.booleans(),
    needs=st.lists(st.text()).map(tuple),
)
def test_what_is_written_is_read(
    location: str,
    size: int,
    *,
    trusted: bool,
    needs: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("lock")
    wanted = Lock(LockedModel(location, DIGEST, size, trusted, needs))
    assert lock.write(folder, wanted) == folder / "boxship.lock"
    assert lock.read(folder) == wanted
    assert [one.name for one in folder.iterdir()] == ["boxship.lock"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = ", "expected valid TOML"),
        ("version = 2", "expected version 1, found 2"),
        ("version = 1\n[model]\ndigest = 5", "expected location, digest, size"),
        ("version = 1\nmodel = 5", "expected location, digest, size"),
        (
            'version = 1\n[model]\nlocation = "a"\ndigest = "md5:1"\nsize = 1',
            "expected location, digest, size",
        ),
    ],
)
def test_a_lock_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "boxship.lock").write_text(text)
    with pytest.raises(UsageError, match=message):
        lock.read(tmp_path)
