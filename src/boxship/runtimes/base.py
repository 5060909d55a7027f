"""What every runtime is: something that takes a batch and gives its answers."""

from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from boxship.signature import Signature

Array = npt.NDArray[np.generic]
Tensors = Mapping[str, Array]
"""Named arrays that share their first dimension, the batch."""

INPUT: Final = "input"
"""The name of the tensor that holds a whole batch, where the model itself names none."""


class Runtime(Protocol):
    """A loaded model of tensors.

    ``run`` blocks, and is called from one thread at a time unless the runtime is
    ``reentrant``. It takes the tensors that ``signature`` describes (one matrix, or one
    array per input; BYTES as an object array of ``str``, missing values as NaN or None)
    and returns the signature's outputs with the same number of rows. Input that the
    model itself refuses raises ``InputError``.
    """

    @property
    def name(self) -> str:
        """What executes the model, with its version: ``scikit-learn 1.7.2``."""

    @property
    def signature(self) -> Signature: ...

    @property
    def batchable(self) -> bool:
        """Whether rows of different requests may share one call."""

    @property
    def reentrant(self) -> bool:
        """Whether two threads may call it at once."""

    def run(self, batch: Tensors) -> Tensors: ...

    def sample(self, rows: int) -> Tensors:
        """A batch that the model accepts, for warm-up."""
