"""LitServe with dynamic batching, as its guide for batching says."""

import os
import pickle
from pathlib import Path
from typing import Any

import litserve


class Scores(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:  # noqa: ARG002 (its API)
        self.model = pickle.loads(Path(os.environ["MODEL_PATH"]).read_bytes())

    def decode_request(self, request: dict[str, Any]) -> list[float]:
        return [request["feature_1"], request["feature_2"]]

    def predict(self, rows: list[list[float]]) -> list[float]:
        scores: list[float] = self.model.predict_proba(rows)[:, 1].tolist()
        return scores

    def unbatch(self, output: list[float]) -> list[float]:
        return output

    def encode_response(self, output: float) -> dict[str, float]:
        return {"score": output}


if __name__ == "__main__":
    api = Scores(max_batch_size=64, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=2,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
