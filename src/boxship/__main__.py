"""``python -m boxship``, and ``boxship``."""

from typing import NoReturn

from boxship.cli.main import main
from boxship.process import leave


def run() -> NoReturn:
    """Run the command line, and end with its exit code."""
    leave(main())


if __name__ == "__main__":
    run()
