"""Where installed packages are cut into layers, so that layers repeat across images."""

from collections.abc import Sequence
from dataclasses import dataclass

from boxship.lock import LockedWheel

HEAVY_BYTES = 2_000_000
"""A wheel of as many bytes, with all that slimming leaves out, is a layer of its own."""
_MOST_LAYERS = 60
"""An image holds 127 at most; the base, the code and the weights have some too."""


@dataclass(frozen=True)
class Cut:
    """The wheels of one layer, by name."""

    wheels: tuple[LockedWheel, ...]

    @property
    def title(self) -> str:
        """What is in it, in a few words."""
        if len(self.wheels) == 1:
            return f"{self.wheels[0].name} {self.wheels[0].version}"
        return f"{len(self.wheels)} light packages"

    @property
    def is_heavy(self) -> bool:
        """Whether it is one heavy wheel, which other images may have too."""
        return len(self.wheels) == 1 and self.wheels[0].size >= HEAVY_BYTES

    def size(self, *, slimmed: bool) -> int:
        """Bytes of the wheels, which are compressed about as a layer is."""
        return sum(wheel.size - (wheel.left_out if slimmed else 0) for wheel in self.wheels)


def cut(wheels: Sequence[LockedWheel]) -> tuple[Cut, ...]:
    """A layer for each heavy wheel, the heaviest first, and one for all the light ones.

    A heavy wheel's layer depends on that wheel alone, so images that share the wheel share the
    layer, whatever else is in them.
    """
    heavy = sorted(
        (wheel for wheel in wheels if wheel.size >= HEAVY_BYTES),
        key=lambda wheel: (-wheel.size, wheel.name),
    )[:_MOST_LAYERS]
    light = sorted((wheel for wheel in wheels if wheel not in heavy), key=lambda one: one.name)
    alone = [Cut((wheel,)) for wheel in heavy]
    return (*alone, Cut(tuple(light))) if light else tuple(alone)
