"""``boxship``: one command, a verb each; the one place that prints errors."""

import argparse
import os
import sys
from collections.abc import Sequence

import boxship
from boxship.cli import cache, convert, fetch, lock, serve
from boxship.errors import EXIT_INTERRUPTED, EXIT_PIPE, BoxshipError

_EPILOG = """\
example:
  boxship serve churn.pkl
  curl localhost:8080/ready
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="boxship",
        description="Ship a trained model as a production serving container.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"boxship {boxship.__version__}")
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve.add_to(verbs)
    convert.add_to(verbs)
    fetch.add_to(verbs)
    lock.add_to(verbs)
    cache.add_to(verbs)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BoxshipError as error:
        for line in [*error.message.splitlines(), *error.tip.splitlines()]:
            print(f"boxship: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever reads our output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    return code
