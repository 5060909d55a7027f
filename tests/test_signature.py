"""The protocol's datatypes."""

import numpy as np
import pytest

from boxship.signature import DATATYPES, NUMPY_DTYPES, is_datatype


def test_every_datatype_has_its_numpy_name() -> None:
    """The number of a datatype's name is its width in bits."""
    assert tuple(NUMPY_DTYPES) == DATATYPES
    widths = {name: 8 * np.dtype(dtype).itemsize for name, dtype in NUMPY_DTYPES.items()}
    numbered = {name: int("".join(filter(str.isdigit, name)) or 0) for name in DATATYPES}
    assert {name: widths[name] for name in DATATYPES if numbered[name]} == {
        name: bits for name, bits in numbered.items() if bits
    }


@pytest.mark.parametrize(
    ("name", "known"), [("FP64", True), ("BYTES", True), ("fp64", False), ("STRING", False)]
)
def test_is_datatype(name: str, known: bool) -> None:  # noqa: FBT001
    assert is_datatype(name) is known
