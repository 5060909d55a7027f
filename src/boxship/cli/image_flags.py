"""Flags that the verbs of images share: the settings of ``[image]``, and who builds."""

import argparse
from collections.abc import Sequence

from boxship.image_settings import ImageSettings
from boxship.settings import options

_BUILDERS = ("native", "docker", "podman")
_NAMES = {"platforms": "--platform"}


def add_to(verb: argparse.ArgumentParser, keys: Sequence[str]) -> None:
    """Add the flag of each setting in ``keys``."""
    known = {option.key: option for option in options(ImageSettings, "image")}
    for key in keys:
        option = known[key]
        verb.add_argument(
            _NAMES.get(key, option.flag),
            dest=f"image_{key}",
            metavar=option.kind.metavar,
            help=option.help,
        )


def given(arguments: argparse.Namespace, keys: Sequence[str]) -> dict[str, str]:
    """Those of ``keys`` that the command line has, as it has them."""
    values = {key: getattr(arguments, f"image_{key}") for key in keys}
    return {key: value for key, value in values.items() if value is not None}


def add_builder(verb: argparse.ArgumentParser, help_: str) -> None:
    """Add ``--builder``."""
    verb.add_argument("--builder", choices=_BUILDERS, default="native", help=help_)
