"""The parity proof: what was compared when a model was converted, and with what result.

It travels in the ONNX file's own metadata, as JSON under ``PROOF_KEY``. A file cannot
hold its own digest, so ``graph`` is the digest of the file without the proof: the proof
is the last field of the file, and everything before it counts.
"""

import hashlib
import json
import mmap
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from boxship.errors import ModelError

PROOF_KEY: Final = "boxship.proof"
"""The key of an ONNX file's metadata that holds the proof."""

VERSION: Final = 1

_METADATA_FIELD: Final = 14
_ENTRY_KEY_FIELD: Final = 1
_ENTRY_VALUE_FIELD: Final = 2
"""Field numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the two models were asked, and how far their answers were apart.

    ``source`` is the file that was converted and ``source_digest`` its digest, ``graph``
    that of the ONNX file without this proof, both ``sha256:<hex>``. ``rows`` were
    compared, ``refused`` of them are answered by neither model; on ``undecided`` ones the
    models differ, and the original itself hangs in the balance. The differences are the
    largest over all numbers of all answers; the relative one is as ``tolerance`` means
    it. ``datatype`` is that of the numbers that the ONNX file takes. ``versions`` holds
    what made and what compared it, package → version.
    """

    source: str
    source_digest: str
    graph: str
    samples: str
    rows: int
    refused: int
    undecided: int
    largest_absolute: float
    largest_relative: float
    labels_that_differ: int
    tolerance: float
    datatype: str
    versions: dict[str, str]


def to_json(proof: Proof) -> str:
    """The proof as it stands in the metadata; equal proofs give equal text."""
    return json.dumps({"version": VERSION, **asdict(proof)}, sort_keys=True, ensure_ascii=False)


def from_json(text: str) -> Proof:
    """The proof in ``text``. Raises ``ModelError`` where it is none, or of a later version."""
    try:
        content: Any = json.loads(text)
    except ValueError as error:
        raise _damaged(f"it is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise _damaged("it is no JSON object")
    if content.pop("version", None) != VERSION:
        raise _damaged(f"its version is not {VERSION}")
    hints = get_type_hints(Proof)
    for field in fields(Proof):
        value = content.get(field.name)
        wanted = (int, float) if hints[field.name] is float else hints[field.name]
        wanted = dict if field.name == "versions" else wanted
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise _damaged(f"`{field.name}` is missing or of another type")
    return Proof(**{field.name: content[field.name] for field in fields(Proof)})


def _damaged(why: str) -> ModelError:
    return ModelError(
        f"The model's metadata `{PROOF_KEY}` cannot be read: {why}.",
        tip="Convert the model again.",
    )


def entry(text: str) -> bytes:
    """The field of an ONNX file that holds the proof: appended to a file, it is part of it."""
    pair = _bytes_field(_ENTRY_KEY_FIELD, PROOF_KEY.encode())
    return _bytes_field(_METADATA_FIELD, pair + _bytes_field(_ENTRY_VALUE_FIELD, text.encode()))


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def digest(graph: bytes | memoryview) -> str:
    """``sha256:<hex>`` of an ONNX file's bytes without its proof."""
    return f"sha256:{hashlib.sha256(graph).hexdigest()}"


def holds(path: Path, text: str, proof: Proof) -> bool:
    """Whether the file at ``path`` is still the one that ``text``, its proof, speaks of."""
    last = entry(text)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[-len(last) :] != last:
            return False
        with memoryview(content) as view, view[: -len(last)] as graph:
            return digest(graph) == proof.graph


def sentence(proof: Proof) -> str:
    """The proof in one sentence, for a log."""
    apart, labels = proof.largest_relative, proof.labels_that_differ
    rows = f"{proof.rows - proof.undecided:,} rows agree "
    rows += f"within {apart:.1g} of their values" if apart else "exactly"
    differ = (
        f"{labels:,} label{' differs' if labels == 1 else 's differ'}"
        if labels
        else "no label differs"
    )
    if proof.undecided:
        differ += f", and on {proof.undecided:,} the original itself is undecided"
    start = proof.source_digest[: len("sha256:") + 12]
    return f"converted from {proof.source} ({start}…): {rows}, {differ}"
