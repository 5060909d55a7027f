"""Train, convert, lock, build; then run the image where an engine is, else verify its layout.

Run it with ``make demo-image``. Everything it writes goes to ``.demo/image/``. The base image is
``BOXSHIP_IMAGE_BASE`` where that is set, else the slim Python image of Docker Hub; where that
cannot be reached, one is made of this machine's own Python.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from support.images import make_base

from boxship.errors import ImageError
from boxship.oci import engine as engines, layout

FOLDER = Path(__file__).resolve().parent.parent / ".demo" / "image"
ROW = {"feature_1": 0.15, "feature_2": 0.1}
READY_WITHIN_S = 60.0
ASK = """
import sys, urllib.request as u
body = sys.argv[2].encode() or None
request = u.Request("http://127.0.0.1:8080" + sys.argv[1], data=body,
                    headers={"content-type": "application/json"})
print(u.urlopen(request, timeout=10).read().decode())
"""


def boxship(*arguments: str) -> subprocess.CompletedProcess[str]:
    print(f"$ boxship {' '.join(arguments)}", flush=True)
    argv = [sys.executable, "-m", "boxship", *arguments]
    return subprocess.run(argv, cwd=FOLDER, stdout=subprocess.PIPE, text=True, check=False)


def run(*arguments: str) -> str:
    done = boxship(*arguments)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return done.stdout


def train() -> float:
    """A forest in a pickle; its own answer to the row."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(500, 2))
    model = RandomForestClassifier(50, random_state=0).fit(rows, rows[:, 0] > rows[:, 1])
    (FOLDER / "churn.pkl").write_bytes(pickle.dumps(model))
    return float(model.predict_proba([list(ROW.values())])[0, 1])


def lock() -> None:
    """With the base that can be had."""
    base = os.environ.get("BOXSHIP_IMAGE_BASE", "")
    settings = FOLDER / "boxship.toml"
    settings.write_text(
        f'model = "churn.onnx"\n[image]\n{f"base = {json.dumps(base)}" * bool(base)}\n'
    )
    done = boxship("lock")
    if done.returncode != 0 and not base:
        print("no registry can be reached: a base is made of this machine's own Python")
        own = make_base(FOLDER / "base.oci")
        settings.write_text(f'model = "churn.onnx"\n[image]\nbase = "oci:{own}"\n')
        done = boxship("lock")
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        sys.exit(done.returncode)


def answer(engine: engines.Engine) -> float:
    """What a container of the image says, alone and unprivileged."""
    name = engine.run(
        "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
        "--network", "none", "--user", "23456:0", "boxship-demo:1",
    ).strip()  # fmt: skip
    # The container has no curl; its own Python asks.
    python = engine.run("inspect", "--format", "{{index .Config.Cmd 0}}", name).strip()
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                engine.run("exec", name, python, "-c", ASK, "/ready", "")
                break
            except ImageError:
                if time.monotonic() > deadline:
                    sys.exit(f"not ready within {READY_WITHIN_S:g} s: docker logs {name}")
                time.sleep(0.3)
        said = engine.run("exec", name, python, "-c", ASK, "/predict", json.dumps(ROW))
        print(f"POST /predict {json.dumps(ROW)}\n  {said.strip()}")
        engine.run("stop", name)
        return float(json.loads(said)["score"])
    finally:
        engine.run("rm", "--force", name)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    expected = train()
    run("convert", "churn.pkl", "-o", "churn.onnx")
    lock()
    run("build", "--plan")
    try:
        engine = engines.find()
    except ImageError as error:
        print(error.message)
        run("build", "-o", "oci:churn.oci")
        size = layout.verify(FOLDER / "churn.oci")
        print(f"verified: every byte of {size / 1e6:.1f} MB is what its digest says")
        return
    run("build", "-t", "boxship-demo:1", "--load")
    try:
        found = answer(engine)
    except ImageError as error:
        sys.exit(f"{error.message}\nThe engine is there, and cannot run containers.")
    if abs(found - expected) > 1e-5:
        sys.exit(f"expected the model's own answer {expected}, found {found}")
    print(f"the model's own answer is {expected}")


if __name__ == "__main__":
    main()
