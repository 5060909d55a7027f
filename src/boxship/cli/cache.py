"""``boxship cache list`` and ``boxship cache prune``."""

import argparse
import json
import time

from boxship.artifact.cache import Cache, default_folder
from boxship.cli import sizes, verbs
from boxship.errors import FetchError, UsageError
from boxship.settings import size

_EPILOG = """\
examples:
  boxship cache list
  boxship cache prune --keep 20GB    the longest unused go first
  boxship cache prune                all of them

The cache is $BOXSHIP_CACHE, else ~/.cache/boxship.
"""


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "cache",
        summary="list or remove fetched models",
        description="List or remove the models that were fetched.",
        epilog=_EPILOG,
    )
    ways = verb.add_subparsers(metavar="list|prune", required=True)
    listing = ways.add_parser(
        "list", help="the fetched models, the last used first", allow_abbrev=False
    )
    listing.add_argument("--format", choices=("text", "json"), default="text")
    listing.set_defaults(run=run_list)
    prune = ways.add_parser(
        "prune", help="remove fetched models, and what did not arrive whole", allow_abbrev=False
    )
    prune.add_argument(
        "--keep", metavar="SIZE", default=None, help="keep as many as fit into this (default: none)"
    )
    prune.set_defaults(run=run_prune)


def run_list(arguments: argparse.Namespace) -> int:
    """Print what is in the cache."""
    cache = Cache(default_folder())
    entries = cache.entries()
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
        print(json.dumps({"version": 1, "folder": str(cache.folder), "models": models}, indent=2))
        return 0
    if not entries:
        print(f"{cache.folder}: no models")
    for one in entries:
        print(f"{one.path.name}  {sizes.shown(one.size)}, used {_ago(time.time() - one.used)}")
        print(f"  {one.digest}")
        print(f"  from {one.source}")
    return 0


def run_prune(arguments: argparse.Namespace) -> int:
    """Remove models until the rest fits."""
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
        removed = cache.prune(most)
        left = cache.entries()
        freed = sum(one.size for one in removed) + cache.clear_partial()
    except OSError as error:
        raise FetchError(
            f"{cache.folder}: expected a folder that can be written, found {error.strerror}."
        ) from error
    for one in removed:
        print(f"removed {one.path.name}  {sizes.shown(one.size)}  {one.digest}")
    if sum(one.size for one in left) > most:
        for one in left:
            print(f"kept {one.path.name}  {sizes.shown(one.size)}  a running server has it in use")
    print(f"{sizes.shown(freed)} freed")
    return 0


def _ago(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
