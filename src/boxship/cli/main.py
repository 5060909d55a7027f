"""``boxship``: one command, a verb each; the one place that prints errors."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence

import boxship
from boxship.cli.ending import Terminated
from boxship.errors import EXIT_INTERRUPTED, EXIT_PIPE, BoxshipError, UsageError

_EPILOG = """\
example:
  boxship serve churn.pkl
  curl localhost:8080/ready
"""

VERBS = ("serve", "convert", "lock", "build", "dockerfile", "fetch", "cache")


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
    for name in VERBS:
        # What a container never does is not shipped in it.
        if importlib.util.find_spec(f"boxship.cli.{name}") is not None:
            importlib.import_module(f"boxship.cli.{name}").add_to(verbs)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BoxshipError as error:
        return _tell(error, arguments.verb)
    except Terminated as ended:
        return ended.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever reads our output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except OSError as error:
        return _tell(_refused(error), arguments.verb)
    return code


def _tell(error: BoxshipError, verb: str) -> int:
    tip = error.tip
    if not tip and isinstance(error, UsageError):
        tip = f"See boxship {verb} --help."
    for line in [*error.message.splitlines(), *tip.splitlines()]:
        print(f"boxship: {line}", file=sys.stderr)
    return error.exit_code


def _refused(error: OSError) -> BoxshipError:
    """What the system would not do, such as write on a disk that is full."""
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' and '.join(files)}: " if files else ""
    return BoxshipError(
        f"{where}expected to read and write, found: {error.strerror or error}.",
        tip="Check that it is there, that it is yours, and that the disk has room.",
    )
