"""The requests of one measurement, and what makes an answer right."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lineup import CEILING_SCORE, Peer
from places import ARTIFACTS

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Payload:
    """Bodies that are sent in turn; ``is_right`` judges the answer to the one at an index."""

    path: str
    bodies: Sequence[bytes]
    is_right: Callable[[int, bytes], bool]
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)

    def is_one_of_ours(self, answer: bytes) -> bool:
        """Whether it is the right answer to any of the bodies."""
        return any(self.is_right(index, answer) for index in range(len(self.bodies)))


def rows(peer: Peer, model: str) -> Payload:
    """The rows of ``model``, as ``peer`` wants them."""
    sent = json.loads((ARTIFACTS / f"{model}.json").read_text())
    scores = sent["scores"]
    if peer.kind == "ceiling":
        scores = [CEILING_SCORE] * len(scores)
    return Payload(
        path=peer.form.path,
        bodies=[peer.form.body(row) for row in sent["rows"]],
        is_right=lambda index, answer: peer.form.is_right(answer, scores[index]),
    )
