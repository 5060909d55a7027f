"""What kind of model a file holds, told by its content and never by its name."""

import pickletools
import warnings
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Final

from boxship.artifact.compression import (
    DECOMPRESSION_ERRORS,
    Compression,
    compression,
    open_decompressed,
)
from boxship.artifact.lookalikes import SERVED, folder_lookalike, is_text, lookalike
from boxship.artifact.mishaps import COPY_AGAIN, unreadable
from boxship.artifact.protobuf import LENGTH, MODEL_GRAPH, VARINT, iter_fields, mapped
from boxship.errors import ModelError


class Format(StrEnum):
    """``PICKLE`` is what pickle and joblib write, compressed or not: both load the same way."""

    PICKLE = "pickle"
    ONNX = "onnx"


_HEAD_BYTES: Final = 1 << 16


def detect(path: Path) -> Format:
    """The format of the model file ``path``. Memory stays small whatever its size.

    Raises ``ModelError`` that says what the file looks like and what to do, where it
    is missing, unreadable or no model that can be served.
    """
    if path.is_dir():
        folder = folder_lookalike(path)
        raise ModelError(f"{path} is {folder.what}.", tip=folder.tip)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if not head:
                raise ModelError(f"{path} is empty.", tip=COPY_AGAIN)
            kind = compression(head)
            if kind is not None:
                _expect_pickle_inside(path, kind)
                return Format.PICKLE
            known = lookalike(path, head)
            if known is not None:
                raise ModelError(f"{path} is {known.what}.", tip=known.tip)
            if _is_pickle(path, head):
                return Format.PICKLE
            if _is_onnx(path):
                return Format.ONNX
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no file {path}.", tip="Check the path, or MODEL_PATH where it is set."
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    found = "text" if is_text(head) else f"unknown; its first bytes are {head[:12].hex(' ')}"
    raise ModelError(f"{path} is no model that Boxship knows: its content is {found}.", tip=SERVED)


def _expect_pickle_inside(path: Path, kind: Compression) -> None:
    try:
        with open_decompressed(path, kind) as stream:
            inner = stream.read(_HEAD_BYTES)
    except DECOMPRESSION_ERRORS as error:
        raise ModelError(
            f"{path} is {kind}-compressed, and cut off or damaged ({error}).", tip=COPY_AGAIN
        ) from error
    if not _is_pickle(path, inner):
        known = lookalike(path, inner)
        raise ModelError(
            f"{path} is {kind}-compressed, and inside is no pickle but "
            f"{known.what if known else 'something unknown'}.",
            tip="Unpack it, and name the model file that was inside.",
        )


def _is_pickle(path: Path, head: bytes) -> bool:
    if head[:1] == b"\x80" and len(head) > 1:
        if head[1] <= 5:
            return True
        # 0x80 begins no ONNX file either: it is a key of more than one byte.
        raise ModelError(
            f"{path} looks like a pickle of protocol {head[1]}, newer than this Python knows.",
            tip="Save it again with protocol=5, or serve it with the Python that made it.",
        )
    return _is_text_pickle(head)


def _is_text_pickle(head: bytes) -> bool:
    """Whether these are opcodes of protocol 0 or 1, which have no magic number.

    Either the stream stops properly, or it imports a name before the head ends.
    """
    imports = False
    try:
        # Text that is no pickle makes Python warn of its escapes.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for opcode, argument, _ in pickletools.genops(BytesIO(head)):
                if opcode.name == "GLOBAL":
                    names = str(argument).replace(" ", ".").split(".")
                    imports = imports or all(name.isidentifier() for name in names)
    except ValueError:
        return imports
    return True


IR_VERSION: Final = 1
ONNX_FIELDS: Final = {
    IR_VERSION: VARINT,
    2: LENGTH,  # producer_name
    3: LENGTH,  # producer_version
    4: LENGTH,  # domain
    5: VARINT,  # model_version
    6: LENGTH,  # doc_string
    MODEL_GRAPH: LENGTH,
    8: LENGTH,  # opset_import
    14: LENGTH,  # metadata_props
    20: LENGTH,  # training_info
    25: LENGTH,  # functions
    26: LENGTH,  # configuration
}
"""ModelProto's fields and their wire types: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""

MAX_IR_VERSION: Final = 100


def _is_onnx(path: Path) -> bool:
    seen: set[int] = set()
    try:
        for field, wire_type, value in iter_fields(mapped(path)):
            if ONNX_FIELDS.get(field) != wire_type:
                return False
            if field == IR_VERSION and value not in range(1, MAX_IR_VERSION):
                return False
            seen.add(field)
    except ValueError as error:
        if IR_VERSION not in seen:
            return False
        raise ModelError(
            f"{path} looks like an ONNX file that is cut off or damaged: {error}.", tip=COPY_AGAIN
        ) from error
    if IR_VERSION in seen and MODEL_GRAPH not in seen:
        raise ModelError(
            f"{path} looks like an ONNX file that has no graph; it is cut off.", tip=COPY_AGAIN
        )
    return {IR_VERSION, MODEL_GRAPH} <= seen
