"""What a project was locked to."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from boxship import lock
from boxship.errors import UsageError
from boxship.lock import Lock, LockedModel, LockedRequirements, LockedWheel

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


@given(size=st.integers(0, 2**62), place=st.text(), left_out=st.integers(0, 2**62))
def test_wheels_that_are_written_are_read(
    size: int, place: str, left_out: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lock")
    wheel = LockedWheel("acme", "1.0", "acme.whl", DIGEST, size, place, left_out)
    wanted = Lock(requirements=LockedRequirements(DIGEST, wheels={"linux/amd64": (wheel,)}))
    text = lock.write(folder, wanted).read_text()
    assert lock.read(folder) == wanted
    # A lock from before there was the key has none either.
    assert ("left_out" in text, "place" in text) == (bool(left_out), bool(place))


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
