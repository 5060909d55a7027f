"""What the verbs of images share: the project, the flags of ``[image]``, and who builds."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from boxship import project
from boxship.errors import UsageError
from boxship.image_settings import ImageSettings
from boxship.project import Project
from boxship.settings import options

_BUILDERS = ("native", "docker", "podman")
_NAMES = {"platforms": "--platform"}


def add_to(verb: argparse.ArgumentParser, keys: Sequence[str]) -> None:
    """Add the project's folder, and the flag of each setting in ``keys``."""
    verb.add_argument(
        "target", nargs="?", metavar="FOLDER", help="the project's folder (default: the one here)"
    )
    known = {option.key: option for option in options(ImageSettings, "image")}
    for key in keys:
        option = known[key]
        verb.add_argument(
            _NAMES.get(key, option.flag),
            dest=f"image_{key}",
            metavar=option.kind.metavar,
            help=option.help,
        )


def add_builder(verb: argparse.ArgumentParser, help_: str) -> None:
    """Add ``--builder``."""
    verb.add_argument("--builder", choices=_BUILDERS, default="native", help=help_)


def resolve(arguments: argparse.Namespace, keys: Sequence[str], *, locked: bool = True) -> Project:
    """The project that is meant, with the flags of ``keys``; its warnings are printed.

    ``locked`` says whether its lock holds. Raises ``UsageError``.
    """
    target: str | None = arguments.target
    if target is not None and "://" not in target and not Path(target).exists():
        raise UsageError(f"{target}: expected a project's folder, found nothing there.")
    values = {key: getattr(arguments, f"image_{key}") for key in keys}
    resolved = project.resolve(
        target,
        flags={},
        image_flags={key: value for key, value in values.items() if value is not None},
        environ=os.environ,
        cwd=Path.cwd(),
        locked=locked,
    )
    for warning in resolved.warnings:
        print(f"boxship: {warning}", file=sys.stderr)
    return resolved.project
