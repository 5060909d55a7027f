"""Who is measured, and how each is started.

Every server gets two workers, one BLAS thread for each, and what its own guide to production
says. Argument lists may hold ``{port}``, ``{model}``, ``{folder}`` (a scratch folder),
``{peer}`` (the peer's own folder), and ``{bin}`` (its environment's programs).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import forms
from environments import BOXSHIP
from forms import Form
from places import PEERS

WORKERS = "2"
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
CEILING_SCORE = 0.5


def _nothing(folder: Path, port: int, model: str) -> None:
    """Most servers need no files of their own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Peer:
    """One server: what it is called, what it serves and how it is started."""

    name: str
    title: str
    kind: Literal["boxship", "plain", "framework", "ceiling"]
    environment: str | None
    argv: tuple[str, ...]
    form: Form = forms.ROW
    suffix: str = ""
    """Of the model file it serves; none for a ceiling."""
    environ: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path, int, str], None] = _nothing
    """Writes the server's own files into its scratch folder: folder, port, model."""

    @property
    def folder(self) -> Path:
        """What the benchmark keeps for it."""
        return PEERS / (self.environment or self.name)


def _boxship(name: str, title: str, suffix: str, *flags: str) -> Peer:
    serve = ("{bin}/boxship", "serve", "{model}", "--host", "127.0.0.1", "--port", "{port}")
    return Peer(
        name=name,
        title=title,
        kind="boxship",
        environment=BOXSHIP,
        argv=(*serve, "--workers", WORKERS, "--drain-delay", "0", "--name", "model", *flags),
        suffix=suffix,
    )


def boxship(suffix: str, *flags: str) -> Peer:
    """Boxship with further flags, for a case of its own."""
    return _boxship(f"boxship-{suffix}", f"Boxship, .{suffix}", f".{suffix}", *flags)


def _plain(name: str, title: str, environment: str, suffix: str) -> Peer:
    start = ("{bin}/uvicorn", "app:app", "--app-dir", "{peer}", "--host", "127.0.0.1")
    return Peer(
        name=name,
        title=title,
        kind="plain",
        environment=environment,
        argv=(*start, "--port", "{port}", "--workers", WORKERS, "--no-access-log"),
        suffix=suffix,
    )


def _nginx(folder: Path, port: int, _model: str) -> None:
    text = (PEERS / "nginx" / "nginx.conf").read_text()
    (folder / "nginx.conf").write_text(text.replace("@PORT@", str(port)))


def _mlserver(folder: Path, _port: int, model: str) -> None:
    own = {"parallel_workers": int(WORKERS), "debug": False}
    (folder / "settings.json").write_text(json.dumps(own))
    is_onnx = model.endswith(".onnx")
    settings: dict[str, object] = {
        "name": "model",
        "implementation": "identity.OnnxModel" if is_onnx else "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": model},
    }
    if not is_onnx:
        settings |= {"max_batch_size": 64, "max_batch_time": 0.002}
    (folder / "model").mkdir()
    (folder / "model" / "model-settings.json").write_text(json.dumps(settings))


def _framework(
    name: str, title: str, form: Form, *argv: str, environ: Mapping[str, str] | None = None
) -> Peer:
    return Peer(
        name=name,
        title=title,
        kind="framework",
        environment=name,
        argv=argv,
        form=form,
        suffix=".pkl",
        environ=environ or {},
        prepare=_mlserver if name == "mlserver" else _nothing,
    )


def ceiling(mode: str) -> Peer:
    """Boxship's HTTP server without a model: ``direct``, ``asgi`` or ``echo``."""
    return Peer(
        name=f"ceiling-{mode}",
        title="ceiling: same server, constant" + ", ASGI" * (mode == "asgi"),
        kind="ceiling",
        environment=BOXSHIP,
        argv=("{bin}/python", str(PEERS / "ceiling" / "server.py"), mode, "{port}"),
    )


ONNX = _boxship("boxship-onnx", "Boxship, converted", ".onnx")
PICKLE = _boxship("boxship-pickle", "Boxship, the pickle itself", ".pkl")
PLAIN = _plain("fastapi-pickle", "FastAPI + pickle, uvicorn", "fastapi_pickle", ".pkl")
PLAIN_ONNX = _plain("fastapi-onnx", "FastAPI + the converted file", "fastapi_onnx", ".onnx")
LITSERVE = _framework(
    "litserve", "LitServe", forms.ROW, "{bin}/python", "{peer}/app.py", environ={"PORT": "{port}"}
)
BENTOML = _framework(
    "bentoml",
    "BentoML",
    forms.LIST,
    "{bin}/bentoml",
    *("serve", "service:Scores", "--working-dir", "{peer}"),
    *("--host", "127.0.0.1", "--port", "{port}"),
    # Its home and its usage statistics: the benchmark leaves nothing behind and calls nobody.
    environ={"BENTOML_HOME": "{folder}", "BENTOML_DO_NOT_TRACK": "True"},
)
MLSERVER = _framework(
    "mlserver",
    "MLServer",
    forms.V2,
    *("{bin}/mlserver", "start", "{folder}"),
    environ={
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{port1}",
        "MLSERVER_METRICS_PORT": "{port2}",
        "PYTHONPATH": "{peer}",
    },
)
KSERVE = _framework(
    "kserve",
    "KServe SDK",
    forms.V1,
    *("{bin}/python", "{peer}/app.py", "--http_port", "{port}", "--workers", WORKERS),
)
CEILING = ceiling("direct")
CEILING_ASGI = ceiling("asgi")
NGINX = Peer(
    name="nginx",
    title="ceiling: nginx, constant",
    kind="ceiling",
    environment=None,
    argv=("nginx", "-e", "stderr", "-p", "{folder}", "-c", "{folder}/nginx.conf"),
    prepare=_nginx,
)

PEERS_IN_ORDER = (
    *(ONNX, PICKLE, PLAIN, PLAIN_ONNX),
    *(LITSERVE, BENTOML, MLSERVER, KSERVE),
    *(CEILING, CEILING_ASGI, NGINX),
)
FRAMEWORKS = tuple(peer for peer in PEERS_IN_ORDER if peer.kind == "framework")
BY_NAME = {peer.name: peer for peer in PEERS_IN_ORDER}
