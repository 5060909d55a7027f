"""The service that tutorials teach: FastAPI around a pickle, one call for each request."""

import os
import pickle
from pathlib import Path
from typing import Any

from fastapi import FastAPI

app = FastAPI()
model = pickle.loads(Path(os.environ["MODEL_PATH"]).read_bytes())


@app.post("/predict")
async def predict(payload: dict[str, Any]) -> dict[str, float]:
    row = [payload["feature_1"], payload["feature_2"]]
    return {"score": float(model.predict_proba([row])[0, 1])}
