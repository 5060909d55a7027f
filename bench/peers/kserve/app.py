"""KServe's SDK with a model of one's own, on the V1 protocol."""

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import kserve


class Scores(kserve.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("model")
        self.load()

    def load(self) -> bool:
        self.model = pickle.loads(Path(os.environ["MODEL_PATH"]).read_bytes())
        self.ready = True
        return self.ready

    def predict(
        self,
        payload: dict[str, Any],
        headers: dict[str, str] | None = None,  # noqa: ARG002 (its API)
    ) -> dict[str, Any]:
        return {"predictions": self.model.predict_proba(payload["instances"])[:, 1].tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    arguments = parser.parse_args()
    kserve.ModelServer(workers=arguments.workers, enable_grpc=False, access_log_format=None).start(
        [Scores()]
    )
