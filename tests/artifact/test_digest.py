import hashlib
from pathlib import Path

import pytest

from boxship.artifact.digest import digest
from boxship.errors import ModelError


def test_a_files_digest_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"abc" * 1_000_000)
    expected = hashlib.sha256(b"abc" * 1_000_000).hexdigest()
    assert digest(tmp_path / "model") == f"sha256:{expected}"


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_a_folders_digest_is_that_of_its_sha256sum_listing(tmp_path: Path) -> None:
    root = folder(tmp_path / "m", {"b": b"1", "a/z": b"2", "a.x": b"3"})
    listing = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in (("a.x", b"3"), ("a/z", b"2"), ("b", b"1"))
    )
    assert digest(root) == f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"


@pytest.mark.parametrize(
    "other",
    [{"a": b"1", "b": b"3"}, {"a": b"1", "c": b"2"}, {"a": b"2", "b": b"1"}, {"a": b"1"}],
)
def test_a_folders_digest_changes_with_names_and_contents(
    other: dict[str, bytes], tmp_path: Path
) -> None:
    one = folder(tmp_path / "one", {"b": b"2", "a": b"1"})
    same = folder(tmp_path / "same", {"a": b"1", "b": b"2"})
    (same / "empty").mkdir()
    assert digest(one) == digest(same) != digest(folder(tmp_path / "other", other))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone cannot be read: No such file"):
        digest(tmp_path / "gone")
    folder(tmp_path / "m", {"a": b""})
    (tmp_path / "m/broken").symlink_to(tmp_path / "gone")
    with pytest.raises(ModelError, match=r"m/broken cannot be read"):
        digest(tmp_path / "m")
