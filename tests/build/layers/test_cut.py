"""Which wheels have a layer of their own."""

import pytest

from boxship.build.layers.cut import HEAVY_BYTES, cut
from boxship.lock import LockedWheel


def wheel(name: str, size: int) -> LockedWheel:
    return LockedWheel(name, "1.0", f"{name}.whl", "sha256:", size)


@pytest.mark.parametrize(
    ("sizes", "titles"),
    [
        ({}, []),
        ({"a": HEAVY_BYTES - 1}, ["a 1.0"]),
        ({"a": HEAVY_BYTES}, ["a 1.0 (heavy)"]),
        (
            {"b": 1, "a": HEAVY_BYTES, "d": 2, "c": HEAVY_BYTES + 1},
            ["c 1.0 (heavy)", "a 1.0 (heavy)", "2 light packages"],
        ),
    ],
)
def test_heavy_wheels_come_first_and_each_alone(sizes: dict[str, int], titles: list[str]) -> None:
    """A light wheel that nothing goes with is none of them."""
    cuts = cut([wheel(name, size) for name, size in sizes.items()])
    assert [f"{one.title}{' (heavy)' if one.is_heavy else ''}" for one in cuts] == titles


def test_there_are_never_too_many_layers() -> None:
    cuts = cut([wheel(f"p{number}", HEAVY_BYTES + number) for number in range(100)])
    assert len(cuts) < 100
    assert sum(len(one.wheels) for one in cuts) == 100
    assert not cuts[-1].is_heavy
