"""``boxship fetch``."""

import argparse
import sys
from pathlib import Path

from boxship.artifact.cache import Cache, default_folder, default_limit
from boxship.artifact.fetch import Fetch, Fetched
from boxship.cli import sizes, verbs
from boxship.cli.meter import Meter
from boxship.errors import UsageError
from boxship.location import Location, parse, shown

_EPILOG = """\
examples:
  boxship fetch s3://models/churn.onnx                 into the cache
  boxship fetch s3://models/churn.onnx --to /models    as an init container does
  boxship fetch hf://org/name@v1.2 --digest sha256:…   only these bytes
"""


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "fetch",
        summary="bring a model here from a store, verified",
        description="Bring a model here from a store: verified, resumed where it broke off,\n"
        "whole or not at all. Its path goes to standard output.",
        epilog=_EPILOG,
    )
    verb.add_argument(
        "location", metavar="URL", help="s3://, gs://, az://, abfs://, https:// or hf://"
    )
    verb.add_argument("--to", metavar="DIR", help="put it into this folder (default: the cache)")
    verb.add_argument(
        "--digest",
        metavar="sha256:…",
        help="the digest that the model must have; others are refused",
    )
    verb.add_argument(
        "--allow-http", action="store_true", help="take http:// too, which anybody can change"
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch, and print where the model is."""
    location = _location(arguments.location, arguments.digest)
    with Meter() as meter:
        fetch = Fetch(
            cache=Cache(default_folder()),
            allow_http=arguments.allow_http,
            most_bytes=default_limit(),
            told=meter,
        )
        fetched = fetch.into(Path(arguments.to), location) if arguments.to else fetch(location)
    print(_summary(fetched), file=sys.stderr)
    print(fetched.model.path)
    return 0


def _location(text: str, digest: str | None) -> Location:
    if digest is not None and not digest.startswith("sha256:"):
        raise UsageError(f"--digest: expected sha256: and 64 hex digits, found {digest!r}.")
    try:
        location = parse(text if digest is None else f"{text}@{digest}")
    except ValueError as error:
        raise UsageError(f"{shown(text)}: {error}", tip="See boxship fetch --help.") from None
    if not location.url:
        raise UsageError(
            f"{shown(text)}: expected a URL, found a path.",
            tip="It is here already: serve it as it is.",
        )
    return location


def _summary(fetched: Fetched) -> str:
    model = fetched.model
    if not fetched.read_bytes:
        return f"{model.digest} ({sizes.shown(model.size)}, here already)"
    rate = sizes.shown(int(fetched.read_bytes / max(fetched.seconds, 1e-3)))
    return f"{model.digest} ({sizes.shown(model.size)} in {fetched.seconds:.1f} s, {rate}/s)"
