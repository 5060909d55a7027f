"""What ends a conversion."""

from boxship.errors import BoxshipError


class ConversionError(BoxshipError):
    """The model cannot be turned into ONNX, or not into a file that can be served."""
