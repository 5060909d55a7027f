"""What an image says of itself.

https://github.com/opencontainers/image-spec/blob/main/annotations.md
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from boxship.artifact.formats import Format, detect
from boxship.build import revision
from boxship.lock import Lock, LockedBase
from boxship.project import Project
from boxship.runtimes.onnx.tensors import read_tensors
from boxship.signature import TensorSpec

_OCI: Final = "org.opencontainers.image"
TITLE: Final = f"{_OCI}.title"
BASE_DIGEST: Final = f"{_OCI}.base.digest"
MODEL_DIGEST: Final = "boxship.model.digest"


def of(project: Project, lock: Lock, base: LockedBase) -> Mapping[str, str]:
    """The labels of the project's image; what is not known is left out. Raises ``ModelError``."""
    found = revision.find(project.folder)
    # What a folder happens to be called is no part of an image.
    title = project.name if project.name != project.folder.name else ""
    labels = {
        f"{_OCI}.base.name": base.name,
        TITLE: title,
        f"{_OCI}.version": project.version or "",
        f"{_OCI}.revision": found.commit,
        f"{_OCI}.source": found.source,
        "boxship.model.location": lock.model.location if lock.model else "",
        MODEL_DIGEST: lock.model.digest if lock.model else "",
        "boxship.model.signature": _signature(project),
    }
    return {name: value for name, value in labels.items() if value}


def _signature(project: Project) -> str:
    """Inputs and outputs as far as they are known without running the model; else ""."""
    described: dict[str, Any] = {}
    # A service's or an application's own requests are not the model's.
    served = project.model_path and not (project.service or project.app)
    if served and detect(path := Path(str(project.model_path))) is Format.ONNX:
        inputs, outputs = read_tensors(path)
        described = {"inputs": _described(inputs), "outputs": _described(outputs)}
    if project.inputs:
        described["inputs"] = _described(project.inputs)
    return json.dumps(described, separators=(",", ":"), sort_keys=True) if described else ""


def _described(tensors: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in tensors
    ]
