"""``boxship lock``."""

import argparse
import os
import sys
from pathlib import Path

from boxship import lock, project
from boxship.artifact import model_file
from boxship.artifact.cache import Cache, default_folder, default_limit
from boxship.artifact.fetch import Fetch
from boxship.cli import sizes, verbs
from boxship.cli.meter import Meter
from boxship.errors import UsageError
from boxship.lock import Lock, LockedModel

_EPILOG = """\
examples:
  boxship lock                 the project here
  boxship lock churn --trust   these bytes may be a pickle of any names
"""


def add_to(to: "verbs.Verbs[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    verb = verbs.add(
        to,
        "lock",
        summary="pin a project's model by digest",
        description="Write boxship.lock: the digest that the project's model has now.\n"
        "Other bytes are never served.",
        epilog=_EPILOG,
    )
    verb.add_argument(
        "target", nargs="?", metavar="FOLDER", help="the project's folder (default: the one here)"
    )
    verb.add_argument(
        "--trust", action="store_true", help="vouch for whatever code the model's pickle names"
    )
    verb.add_argument(
        "--allow-http", action="store_true", help="take http:// too, which anybody can change"
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Find the model's digest and write it down."""
    resolved = project.resolve(
        arguments.target, flags={}, environ=os.environ, cwd=Path.cwd(), locked=False
    )
    for warning in resolved.warnings:
        print(f"boxship: {warning}", file=sys.stderr)
    found = resolved.project
    if not found.model_location:
        raise UsageError(
            f"{found.folder}: expected a project with a model, found none in it.",
            tip='Name it in boxship.toml: model = "…"',
        )
    if found.source is not None:
        with Meter() as meter:
            fetch = Fetch(
                cache=Cache(default_folder()),
                most_bytes=default_limit(),
                allow_http=arguments.allow_http or found.serve.allow_http,
                told=meter,
            )
            model = fetch(found.source).model
        digest, size = model.digest, model.size
    else:
        examined = model_file.examine(Path(str(found.model_path)), expected=found.model_digest)
        digest, size = examined.digest, examined.size
    locked = LockedModel(found.model_location, digest, size, trusted=arguments.trust)
    try:
        file = lock.write(found.folder, Lock(locked))
    except OSError as error:
        raise UsageError(
            f"{found.folder}: expected a folder that can be written, found {error.strerror}."
        ) from error
    print(f"{found.model_location}  {sizes.shown(size)}")
    print(f"  {digest}")
    print(f"written to {file}")
    return 0
