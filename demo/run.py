"""Train a small classifier, serve it, ask it, compare, stop: the main job in one run.

Run it with ``make demo``. Everything it writes goes to ``.demo/``.
"""

import json
import pickle
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from pandas import DataFrame
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER = Path(__file__).parent.parent / ".demo"
READY_WITHIN_S = 60.0
ROWS = 5


def train() -> tuple[Path, Any, list[dict[str, float]]]:
    """A pickle of a classifier, the classifier itself, and rows it has not seen."""
    data = load_breast_cancer(as_frame=True)
    seen, unseen, labels, _ = train_test_split(data.data, data.target, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, labels)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "cancer.pkl"
    path.write_bytes(pickle.dumps(model))
    rows = unseen[:ROWS].to_dict("records")
    (FOLDER / "row.json").write_text(json.dumps(rows[0], indent=1))
    (FOLDER / "rows.json").write_text(json.dumps(rows, indent=1))
    return path, model, rows


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until_ready(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Ask ``/ready`` until it says so, and print what it says meanwhile."""
    deadline = time.monotonic() + READY_WITHIN_S
    said = ""
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"the server ended with exit code {server.returncode}; see .demo/server.log")
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
                print(f"GET /ready    {answer.status} {answer.read().decode()}")
                return
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if text != said:
                print(f"GET /ready    {error.code} {text}")
            said = text
        except urllib.error.URLError:
            pass  # not listening yet
        time.sleep(0.05)
    sys.exit(f"the server was not ready within {READY_WITHIN_S:g} s; see .demo/server.log")


def post(url: str, body: bytes) -> Any:
    """One request, as curl would send it."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def main() -> int:
    """The whole run; 0 where every served answer is the model's own."""
    path, model, rows = train()
    print(f"trained       {path.relative_to(FOLDER.parent)} ({path.stat().st_size} bytes)")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "boxship", "serve", str(path), "--host", "127.0.0.1"]
    argv += ["--port", str(port), "--drain-delay", "0"]
    print(f"serving       boxship serve {path.relative_to(FOLDER.parent)} --port {port}")
    with (FOLDER / "server.log").open("wb") as log:
        server = subprocess.Popen(argv, stderr=log)
    try:
        wait_until_ready(url, server)
        print("\nTo ask the same by hand, while it runs:")
        print(f"  curl {url}/predict \\")
        print("    -H 'Content-Type: application/json' -d @.demo/row.json\n")
        agree = ask(url, model, rows)
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=60)
    print(f"\nSIGTERM       the server finished what it had and ended with exit code {code}")
    print("the server's log is in .demo/server.log")
    return 0 if agree and code == 0 else 1


def ask(url: str, model: Any, rows: list[dict[str, float]]) -> bool:
    """Every row once by itself and all together, beside the model's own answers."""
    table = DataFrame(rows)
    scores = model.predict_proba(table)[:, 1]
    labels = model.predict(table)
    together = post(f"{url}/predict", json.dumps(rows).encode())
    wanted = [
        {"score": float(score), "label": int(label)}
        for score, label in zip(scores, labels, strict=True)
    ]
    print(f"{'row':>3}  {'served score':>24}  {'the model itself':>24}  label")
    for index, row in enumerate(rows):
        alone = post(f"{url}/predict", json.dumps(row).encode())
        own = float(model.predict_proba(table[index : index + 1])[0, 1])
        same = alone == {"score": own, "label": wanted[index]["label"]}
        print(f"{index:>3}  {alone['score']!r:>24}  {own!r:>24}  {alone['label']}", end="")
        print("" if same else "   DIFFERS")
        if not same:
            return False
    print(f"all {len(rows)} in one request:", "the same bits" if together == wanted else "DIFFERS")
    return bool(together == wanted)


if __name__ == "__main__":
    sys.exit(main())
