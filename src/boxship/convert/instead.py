"""What to do where a model cannot be converted."""

from typing import Final

INSTEAD: Final = "Serve the file itself with `boxship serve`, or {}."
INSTALL: Final = "Install the converters: pip install 'boxship[convert]'."
