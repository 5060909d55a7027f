"""Each peer's own environment, made from its lock; nothing is resolved at bench time."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence

from places import FOLDER, PEERS, PYTHON, ROOT, binaries

BOXSHIP, MODELS = "boxship", "models"

_EXTRAS = {BOXSHIP: ("sklearn", "onnx"), MODELS: ("convert",)}
"""Where this checkout is installed, and with which of its extras."""

NAMES = (
    *("boxship", "models", "fastapi_pickle", "fastapi_onnx"),
    *("litserve", "bentoml", "mlserver", "kserve"),
)

_UV = str(PYTHON.parent / "uv")
_COMMAND = "python bench/run.py --lock"


def _run(*argv: str) -> None:
    try:
        subprocess.run(argv, check=True, cwd=ROOT, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(argv)} failed:\n{error.stderr}") from None


def build(names: Sequence[str]) -> None:
    """Make the environments that are missing or whose lock has changed."""
    for name in names:
        lock = PEERS / name / "requirements.lock"
        stamp = FOLDER / name / ".lock"
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        if not (stamp.is_file() and stamp.read_text() == digest):
            print(f"making the environment of {name}", flush=True)
            _run(_UV, "venv", "--quiet", "--clear", "--python", str(PYTHON), str(FOLDER / name))
            # Bytecode now: the first start of a server must not pay for it.
            install = ["pip", "install", "--require-hashes", "--no-deps", "--compile-bytecode"]
            _run(_UV, *install, "--python", str(FOLDER / name), "-r", str(lock))
            stamp.write_text(digest)
        if name in _EXTRAS:
            _install_checkout(name)


def _install_checkout(name: str) -> None:
    """Boxship as a user gets it: a wheel of this checkout."""
    wheels = FOLDER / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    _run(str(PYTHON), "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels))
    (wheel,) = wheels.glob("*.whl")
    install = ["pip", "install", "--no-deps", "--reinstall", "--compile-bytecode"]
    _run(_UV, *install, "--python", str(FOLDER / name), str(wheel))


def lock(names: Sequence[str]) -> None:
    """Compile the locks again; each holds a hash for every file and no address."""
    for name in names:
        source = PEERS / name / "requirements.in"
        what = [str(source)]
        if name in _EXTRAS:
            # The versions that the tests have.
            what = ["pyproject.toml", "--constraint", "requirements-dev.lock"]
            what += [part for extra in _EXTRAS[name] for part in ("--extra", extra)]
        options = ["--quiet", "--upgrade", "--python-version", "3.11", "--generate-hashes"]
        options += ["--custom-compile-command", _COMMAND]
        print(f"compiling the lock of {name}", flush=True)
        output = ["--output-file", str(PEERS / name / "requirements.lock")]
        _run(_UV, "pip", "compile", *what, *options, *output)


def versions(name: str) -> dict[str, str]:
    """What is installed in an environment, by distribution."""
    argv = [_UV, "pip", "list", "--quiet", "--format", "json", "--python", str(FOLDER / name)]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return {one["name"]: one["version"] for one in json.loads(text)}


def python(name: str) -> str:
    """The interpreter of an environment."""
    return str(binaries(name) / "python")
