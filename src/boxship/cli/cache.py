"""``boxship cache list`` and ``boxship cache prune``."""

import argparse
import importlib.util
import json
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from boxship import pruning
from boxship.artifact.cache import Cache, Cached, default_folder
from boxship.cli import sizes, verbs
from boxship.errors import FetchError, UsageError
from boxship.settings import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxship.build.layers.layer_folder import KeptBlob, LayerFolder

    _Kept = Cached | KeptBlob

_EPILOG = """\
examples:
  boxship cache list
  boxship cache prune --keep 20GB    the longest unused go first
  boxship cache prune                all of them

The cache is $BOXSHIP_CACHE, else ~/.cache/boxship. What a running server
serves stays, and so do all layers while a build runs.
"""


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "cache",
        summary="list or remove fetched models and image layers",
        description="List or remove the models that were fetched, and the layers of images that\n"
        "were built.",
        epilog=_EPILOG,
    )
    ways = verb.add_subparsers(metavar="list|prune", required=True)
    listing = ways.add_parser(
        "list",
        help="the fetched models, the last used first, and the layers in all",
        allow_abbrev=False,
    )
    listing.add_argument("--format", choices=("text", "json"), default="text")
    listing.set_defaults(run=run_list)
    prune = ways.add_parser(
        "prune",
        help="remove models, layers, and what did not arrive whole",
        allow_abbrev=False,
    )
    prune.add_argument(
        "--keep", metavar="SIZE", default=None, help="keep as many as fit into this (default: none)"
    )
    prune.set_defaults(run=run_prune)


def run_list(arguments: argparse.Namespace) -> int:
    """Print what is in the cache."""
    cache = Cache(default_folder())
    entries = cache.entries()
    folder = _layers()
    layers = folder.entries() if folder else []
    if arguments.format == "json":
        models = [
            {
                "digest": one.digest,
                "path": str(one.path),
                "bytes": one.size,
                "source": one.source,
                "used": int(one.used),
            }
            for one in entries
        ]
        told = {
            "version": 1,
            "folder": str(cache.folder),
            "models": models,
            "layers": {"count": len(layers), "bytes": sum(one.size for one in layers)},
        }
        print(json.dumps(told, indent=2))
        return 0
    if not entries:
        print(f"{cache.folder}: no models")
    for one in entries:
        print(f"{one.path.name}  {sizes.shown(one.size)}, used {_ago(time.time() - one.used)}")
        print(f"  {one.digest}")
        print(f"  from {one.source}")
    if layers:
        used = max(one.used for one in layers)
        print(f"{_shown(layers)}, used {_ago(time.time() - used)}")
    return 0


def run_prune(arguments: argparse.Namespace) -> int:
    """Remove models and layers until the rest fits."""
    most = 0
    if arguments.keep is not None:
        kind = size()
        try:
            most = kind.parse(arguments.keep)
        except ValueError:
            raise UsageError(
                f"--keep: expected {kind.expected}, found {arguments.keep!r}"
            ) from None
    cache = Cache(default_folder())
    try:
        removed, left, parts = _prune(cache, _layers(), most)
    except OSError as error:
        raise FetchError(
            f"{cache.folder}: expected a folder that can be written, found {error.strerror}."
        ) from error
    models, blobs = _parted(removed)
    for one in models:
        print(f"removed {one.path.name}  {sizes.shown(one.size)}  {one.digest}")
    if blobs:
        linked = sum(one.size - one.frees for one in blobs)
        beside = f"; {sizes.shown(linked)} of it stay in image layouts" if linked else ""
        print(f"removed {_shown(blobs)}{beside}")
    if sum(one.size for one in left) > most:
        _say_why(left)
    freed = parts + sum(one.size for one in models) + sum(one.frees for one in blobs)
    print(f"{sizes.shown(freed)} freed")
    return 0


def _prune(
    cache: Cache, layers: "LayerFolder | None", most: int
) -> "tuple[Sequence[_Kept], Sequence[_Kept], int]":
    """What was removed, what is left, and the bytes of what had not become whole."""
    with layers.alone() if layers else nullcontext(False) as alone:

        def remove(one: "_Kept") -> bool:
            if isinstance(one, Cached):
                return cache.remove_unused(one)
            if layers and alone:
                layers.remove(one)
            return alone

        kept = [*cache.entries(), *(layers.entries() if layers else ())]
        removed = pruning.prune(kept, most, remove)
        parts = cache.clear_partial() + (layers.clear() if layers and alone else 0)
    gone = set(removed)
    return removed, [one for one in kept if one not in gone], parts


def _say_why(left: "Sequence[_Kept]") -> None:
    models, blobs = _parted(left)
    for one in models:
        print(f"kept {one.path.name}  {sizes.shown(one.size)}  a running server has it in use")
    if blobs:
        print(f"kept {_shown(blobs)}  a running build uses them")


def _parted(kept: "Sequence[_Kept]") -> "tuple[list[Cached], list[KeptBlob]]":
    models = [one for one in kept if isinstance(one, Cached)]
    return models, [one for one in kept if not isinstance(one, Cached)]


def _layers() -> "LayerFolder | None":
    """Where builds keep layers; a container has none, nor what makes them."""
    if importlib.util.find_spec("boxship.build") is None:
        return None
    from boxship.build.layers.layer_folder import LayerFolder, default_place

    return LayerFolder(default_place())


def _shown(layers: "Sequence[KeptBlob]") -> str:
    size = sizes.shown(sum(one.size for one in layers))
    return f"image layers  {size} in {len(layers)} file{'' if len(layers) == 1 else 's'}"


def _ago(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
