"""Train a classifier on real data, and write what the quick start needs."""

import json
import pickle
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

data = load_breast_cancer(as_frame=True)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, data.target)
Path("cancer.pkl").write_bytes(pickle.dumps(model))
Path("row.json").write_text(json.dumps(data.data.iloc[0].to_dict()))
print("wrote cancer.pkl and row.json")
