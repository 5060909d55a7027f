"""The same service with Boxship, around the same model as ONNX."""

from dataclasses import dataclass

import numpy as np
import onnxruntime

from boxship import Service

VERSION = "0"


@dataclass
class Customer:
    feature_1: float
    feature_2: float
    feature_3: float


@dataclass
class Risk:
    score: float
    version: str


class Churn(Service):
    def load(self, model_path: str | None) -> None:
        self.session = onnxruntime.InferenceSession(model_path)

    def predict(self, rows: list[Customer]) -> list[Risk]:
        columns = [[row.feature_1, row.feature_2, row.feature_3] for row in rows]
        (wanted,) = self.session.get_inputs()
        given = {wanted.name: np.array(columns, np.float32)}
        (scores,) = self.session.run(["score"], given)
        return [Risk(float(score), VERSION) for score in scores]
