"""What an image runs on, in the words of images."""

import pytest

from boxship.oci.platform import Platform, parse


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm64", "linux/arm/v7"])
def test_a_platform_is_written_as_it_is_read(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize("text", ["", "linux", "Linux/amd64", "linux/amd64/7", "linux/arm/v7/v8"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(ValueError, match="expected a platform such as linux/amd64"):
        parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "runs"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/amd64/v2", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v7", "linux/arm/v7", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v7", "linux/arm", False),
        ("linux/amd64", "linux/arm64", False),
    ],
)
def test_which_image_is_one_for_a_platform(wanted: str, offered: str, *, runs: bool) -> None:
    """A variant that nobody asked for is no obstacle."""
    assert parse(wanted).runs(parse(offered)) == runs


def test_an_index_names_a_variant_where_there_is_one() -> None:
    found = {"os": "linux", "architecture": "arm"}
    assert Platform("linux", "arm").as_json() == found
    assert Platform("linux", "arm", "v7").as_json() == {**found, "variant": "v7"}
