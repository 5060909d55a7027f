"""Where things are: what is kept, and what a run makes."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
PAGE_FOLDER = ROOT / "docs"

FOLDER = ROOT / ".bench"
"""Environments, models, logs: nothing in it is kept by git."""

ARTIFACTS = FOLDER / "artifacts"
LOGS = FOLDER / "logs"

PYTHON = Path(sys.executable)
"""The project's own environment, which has uv and hatchling."""


def binaries(environment: str) -> Path:
    """The folder of an environment's programs."""
    return FOLDER / environment / "bin"
