"""joblib's files: a pickle with arrays between its opcodes.

joblib reads arrays of objects with an unpickler of its own, which some versions
leave unrestricted, and maps each array with a file descriptor of its own. Here
nested pickles obey the same list, and one memory map carries all arrays.
"""

import mmap
from math import prod
from typing import IO, Any

import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

from boxship.artifact.pickling.scan import PickleReport
from boxship.artifact.pickling.unpickler import Approved, Unpickler, find_class
from boxship.artifact.pickling.values import ARRAY_WRAPPER, true_name


class ArrayUnpickler(NumpyUnpickler):  # type: ignore[misc]
    """joblib's unpickler, with its imports taken away.

    ``view`` is a copy-on-write map of the whole file: pages stay shared between
    workers until one writes. ``None`` reads the arrays into memory.
    """

    def __init__(
        self,
        report: PickleReport,
        stream: IO[bytes],
        approved: Approved | None,
        view: mmap.mmap | None,
    ) -> None:
        super().__init__(str(report.path), stream, ensure_native_byte_order=view is None)
        self.report = report
        self.approved = approved
        self.view = view

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ARRAY_WRAPPER:
            return ArrayWrapper
        if self.approved is None:
            return super().find_class(*true_name(module, name))
        return find_class(self.report, self.approved, module, name)


class ArrayWrapper(NumpyArrayWrapper):  # type: ignore[misc]
    """What stands in the pickle where an array follows."""

    def read_array(self, unpickler: ArrayUnpickler, *options: bool) -> Any:
        if self.dtype.hasobject:
            nested = Unpickler(unpickler.report, unpickler.file_handle, unpickler.approved)
            return nested.load()
        if unpickler.view is None or not self.allow_mmap:
            return super().read_array(unpickler, *options)
        return self._map(unpickler.file_handle, unpickler.view)

    def _map(self, file: IO[bytes], view: mmap.mmap) -> Any:
        if self.safe_get_numpy_array_alignment_bytes() is not None:
            file.seek(file.read(1)[0], 1)
        offset = file.tell()
        array: Any = np.ndarray(self.shape, self.dtype, view, offset, order=self.order)
        file.seek(offset + prod(self.shape) * self.dtype.itemsize)
        # Files of joblib < 1.2 do not align their arrays, and BLAS wants them aligned.
        return array if array.flags.aligned else array.copy(order=self.order)
