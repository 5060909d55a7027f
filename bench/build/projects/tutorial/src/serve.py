"""The service that tutorials teach: FastAPI around a pickle."""

import pickle
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel

VERSION = "0"

app = FastAPI()
model = pickle.loads(Path("model.pkl").read_bytes())


class Customer(BaseModel):
    feature_1: float
    feature_2: float
    feature_3: float


@app.post("/predict")
def predict(row: Customer) -> dict[str, float | str]:
    score = model.predict_proba([[row.feature_1, row.feature_2, row.feature_3]])[0, 1]
    return {"score": float(score), "version": VERSION}
