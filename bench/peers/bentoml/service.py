"""BentoML with adaptive batching and two workers."""

import os
import pickle
from pathlib import Path

import bentoml


@bentoml.service(workers=2, logging={"access": {"enabled": False}})
class Scores:
    def __init__(self) -> None:
        self.model = pickle.loads(Path(os.environ["MODEL_PATH"]).read_bytes())

    @bentoml.api(batchable=True, max_batch_size=64)  # type: ignore[untyped-decorator]
    def predict(self, rows: list[list[float]]) -> list[float]:
        scores: list[float] = self.model.predict_proba(rows)[:, 1].tolist()
        return scores
