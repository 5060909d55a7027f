"""What befalls files, told in the same words wherever it is noticed."""

from pathlib import Path
from typing import Final

from boxship.errors import ModelError

COPY_AGAIN: Final = "Copy or download it again, and compare its size with the original's."
READABLE: Final = "Check the path, and that the user that runs Boxship may read it."


def unreadable(path: Path, error: OSError) -> ModelError:
    """What to raise where ``path``, or a file that belongs to it, cannot be read."""
    return ModelError(
        f"{error.filename or path} cannot be read: {error.strerror or error}.", tip=READABLE
    )
