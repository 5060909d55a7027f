"""What ends a conversion, and what to do then."""

from typing import Final

from boxship.errors import BoxshipError

ALONE: Final = "Serve the file itself with `boxship serve`."
INSTEAD: Final = "Serve the file itself with `boxship serve`, or {}."
INSTALL: Final = "Install the converters: pip install 'boxship[convert]'."


class ConversionError(BoxshipError):
    """The model cannot be turned into ONNX, or not into a file that can be served."""
