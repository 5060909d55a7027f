"""How each server wants its row and where its answer holds the score."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Form:
    """One way to send a row and to read the answer."""

    path: str
    encode: Callable[[Sequence[float]], Any]
    score: Callable[[Any], float]

    def body(self, row: Sequence[float]) -> bytes:
        """The request's body."""
        return json.dumps(self.encode(row), separators=(",", ":")).encode()

    def is_right(self, answer: bytes, expected: float) -> bool:
        """Whether the answer is JSON and its score is ``expected``."""
        try:
            return abs(self.score(json.loads(answer)) - expected) <= TOLERANCE
        except (ValueError, LookupError, TypeError):
            return False


def _tensor(row: Sequence[float]) -> dict[str, Any]:
    return {"name": "input", "datatype": "FP64", "shape": [1, len(row)], "data": list(row)}


ROW = Form(
    "/predict",
    lambda row: {f"feature_{index}": value for index, value in enumerate(row, 1)},
    lambda answer: float(answer["score"]),
)
LIST = Form("/predict", lambda row: {"rows": [list(row)]}, lambda answer: float(answer[0]))
V1 = Form(
    "/v1/models/model:predict",
    lambda row: {"instances": [list(row)]},
    lambda answer: float(answer["predictions"][0]),
)
V2 = Form(
    "/v2/models/model/infer",
    lambda row: {"inputs": [_tensor(row)], "outputs": [{"name": "predict_proba"}]},
    lambda answer: float(answer["outputs"][0]["data"][1]),
)
