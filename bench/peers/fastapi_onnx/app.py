"""The same hand-written service around the converted model."""

import os
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1

app = FastAPI()
session = onnxruntime.InferenceSession(
    os.environ["MODEL_PATH"], options, providers=["CPUExecutionProvider"]
)
inputs = session.get_inputs()
datatype = np.float64 if inputs[0].type == "tensor(double)" else np.float32


@app.post("/predict")
async def predict(payload: dict[str, Any]) -> dict[str, float]:
    row = np.array([[payload["feature_1"], payload["feature_2"]]], datatype)
    if len(inputs) == 1:
        feed = {inputs[0].name: row}
    else:
        feed = {one.name: row[:, [index]] for index, one in enumerate(inputs)}
    return {"score": float(session.run(["score"], feed)[0][0])}
