"""The packages that converting needs, and that nothing else of Boxship does."""

from boxship import packages
from boxship.convert.errors import INSTALL, ConversionError

_PACKAGES = {
    "numpy": "numpy",
    "sklearn": "scikit-learn",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "skl2onnx": "skl2onnx",
}
"""Module → package."""


def check_packages() -> None:
    """Raise ``ConversionError`` with every package that is missing. Imports none of them."""
    missing = packages.missing(_PACKAGES)
    if missing:
        raise ConversionError(
            f"Converting needs packages that are not installed: {', '.join(missing)}.",
            tip=INSTALL,
        )
