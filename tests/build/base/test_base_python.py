"""The Python of a base image, as a container of it would find it."""

from pathlib import Path

import pytest
from support.registry import small_image

from boxship.build.base.base_python import BasePython, find
from boxship.errors import BuildError
from boxship.oci.blobs import Blobs

PYTHON = "usr/local/bin/python3.12"
LIBC = "lib/x86_64-linux-gnu/libc.so.6"
VERSION = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"
FOUND = BasePython(f"/{PYTHON}", "3.12", "2.36", "/usr/local/lib/python3.12/site-packages")


def found_in(tmp_path: Path, *layers: dict[str, bytes]) -> BasePython:
    blobs = Blobs(tmp_path / "blobs")
    image = small_image(blobs, layers[0])
    for files in layers[1:]:
        image = small_image(blobs, files, base=image)
    return find(image, blobs, "base")


def refused(tmp_path: Path, *layers: dict[str, bytes]) -> str:
    with pytest.raises(BuildError) as caught:
        found_in(tmp_path, *layers)
    assert caught.value.tip
    return caught.value.message


def test_it_is_the_first_on_the_path(tmp_path: Path) -> None:
    files = {PYTHON: b"", "usr/local/bin/python3.11": b"", "usr/bin/python3.13": b"", LIBC: VERSION}
    assert found_in(tmp_path, files) == FOUND


@pytest.mark.parametrize(
    "above",
    [
        {"usr/local/bin/.wh.python3.12": b""},
        {"usr/local/bin/.wh..wh..opq": b""},
        {"usr/local/.wh.bin": b""},
        {"usr/local/bin": b"a file"},
    ],
)
def test_one_that_a_later_layer_removed_is_not_there(
    tmp_path: Path, above: dict[str, bytes]
) -> None:
    below = {PYTHON: b"", LIBC: VERSION}
    assert "later on the PATH of the base image, found none." in refused(tmp_path, below, above)


def test_one_that_a_layer_puts_in_place_of_another_is_there(tmp_path: Path) -> None:
    above = {"usr/local/bin/.wh..wh..opq": b"", PYTHON: b""}
    below = {"usr/local/bin/python3.13": b"", LIBC: VERSION}
    assert found_in(tmp_path, below, above) == FOUND


def test_one_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    files = {"usr/local/bin/python3.9": b"", "usr/bin/python3.11": b"", LIBC: VERSION}
    assert found_in(tmp_path, files).executable == "/usr/bin/python3.11"


def test_where_all_are_too_old_they_are_named(tmp_path: Path) -> None:
    files = {"usr/local/bin/python3.9": b"", "usr/bin/python3.10": b"", LIBC: VERSION}
    assert refused(tmp_path, files) == (
        "base: expected a Python 3.11 or later on the PATH of the base image, found "
        "/usr/local/bin/python3.9, /usr/bin/python3.10."
    )


@pytest.mark.parametrize("path", [LIBC, "lib/x86_64-linux-gnu/libc-2.31.so"])
def test_a_large_libc_is_read_too_under_any_name(tmp_path: Path, path: str) -> None:
    """One may have its symbols inside; and before 2.34 libc.so.6 was a link."""
    assert found_in(tmp_path, {PYTHON: b"", path: bytes(9 << 20) + VERSION}) == FOUND


def test_a_compilers_libc_is_not_the_images(tmp_path: Path) -> None:
    other = "opt/conda/x86_64-conda-linux-gnu/sysroot/lib64/libc.so.6"
    files = {PYTHON: b"", LIBC: VERSION, other: VERSION.replace(b"2.36", b"2.17")}
    assert found_in(tmp_path, files) == FOUND


def test_a_libc_that_says_no_version_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, {PYTHON: b"", LIBC: b"libc"})
    assert message.endswith(f"that says its version, found /{LIBC}, which does not.")


def test_without_a_libc_it_says_so(tmp_path: Path) -> None:
    assert refused(tmp_path, {PYTHON: b""}).endswith("found no such file.")


def test_musl_is_refused_unless_it_was_removed(tmp_path: Path) -> None:
    files = {PYTHON: b"", LIBC: VERSION, "lib/ld-musl-x86_64.so.1": b""}
    assert "found musl (/lib/ld-musl-x86_64.so.1)" in refused(tmp_path, files)
    assert found_in(tmp_path, files, {"lib/.wh.ld-musl-x86_64.so.1": b""}) == FOUND


def test_debians_own_keeps_what_was_installed_apart(tmp_path: Path) -> None:
    files = {"usr/bin/python3.11": b"", LIBC: VERSION, "usr/lib/python3/dist-packages/a.py": b""}
    assert found_in(tmp_path, files).site_packages == "/usr/local/lib/python3.11/dist-packages"
    files = {"usr/bin/python3.11": b"", LIBC: VERSION, "etc/debian_version2": b""}
    assert found_in(tmp_path, files).site_packages == "/usr/lib/python3.11/site-packages"
