"""Layers that were packed before, by what they were made of; shared by many processes."""

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxship.build.layers.installed import File
from boxship.build.layers.layer_folder import BLOBS, LayerFolder
from boxship.files import write_whole
from boxship.oci.descriptor import Descriptor
from boxship.oci.layer import Layer

_PUSHED = "pushed"
_MOST_PUSHED = 8
"""Each is one more question for each layer that the registry does not have there."""


@dataclass(frozen=True)
class Packed:
    """A layer, and the files in it by the digests that their wheels give."""

    layer: Layer
    files: tuple[File, ...] = ()


class LayerCache(LayerFolder):
    """What builds find in the folder, and keep there. Hold it, or somebody may remove layers."""

    def find(self, *made_of: str) -> Packed | None:
        """The layer that was made of this, if it is still here."""
        try:
            note = json.loads(self._note(made_of).read_text(encoding="utf-8"))
            (digest,) = note[BLOBS]
            layer = Layer(
                Descriptor(note["media_type"], digest, int(note["size"])), note["diff_id"]
            )
            files = tuple(File(path, digest) for path, digest in note["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Packed(layer, files) if self.blobs.has(layer.blob) else None

    def keep(self, packed: Packed, *made_of: str) -> None:
        """Find it next time. Raises ``OSError``."""
        blob = packed.layer.blob
        note = {
            BLOBS: [blob.digest],
            "media_type": blob.media_type,
            "size": blob.size,
            "diff_id": packed.layer.diff_id,
            "files": [[file.path, file.digest] for file in packed.files],
        }
        self.notes.mkdir(parents=True, exist_ok=True)
        write_whole(self._note(made_of), json.dumps(note))

    @contextlib.contextmanager
    def making(self, *made_of: str) -> Iterator[None]:
        """Whoever else makes the same waits until it is there, or could not be made."""
        self.work.mkdir(parents=True, exist_ok=True)
        file = self.work / f"{_key(made_of)}.lock"
        with file.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # Who waits has it open; who comes now finds what was made.
                file.unlink(missing_ok=True)

    def once(self, act: Callable[[], None], *digests: str, of: str) -> None:
        """Do ``act`` unless it was done, without an error, ``of`` this with just these blobs."""
        mark = self.marks / f"{_key((*digests, of))}.json"
        if mark.exists():
            return
        act()
        self.marks.mkdir(parents=True, exist_ok=True)
        write_whole(mark, json.dumps({BLOBS: digests}))

    def pushed(self) -> list[str]:
        """The images that were pushed from here, the last one first."""
        try:
            return (self.folder / _PUSHED).read_text(encoding="utf-8").split()[::-1]
        except FileNotFoundError:
            return []

    def note_push(self, name: str) -> None:
        """Remember where layers are by now: another repository of that registry can have them."""
        repository = name.rpartition(":")[0]
        others = [one for one in self.pushed() if one != repository][: _MOST_PUSHED - 1]
        write_whole(self.folder / _PUSHED, "\n".join([*others[::-1], repository]))

    def _note(self, made_of: Sequence[str]) -> Path:
        return self.notes / f"{_key(made_of)}.json"


def _key(made_of: Sequence[str]) -> str:
    text = "".join(f"{len(part)}:{part}" for part in made_of)
    return hashlib.sha256(text.encode()).hexdigest()
