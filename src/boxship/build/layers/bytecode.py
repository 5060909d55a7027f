"""Bytecode for the image's Python, made beforehand: a read-only root cannot keep any."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from boxship.build.base.interpreter import Interpreter
from boxship.build.layers import compile_modules
from boxship.errors import BuildError


def cached_path(path: str, minor: str) -> str:
    """Where Python looks for the bytecode of the module at ``path``."""
    pure = PurePosixPath(path)
    return str(pure.parent / "__pycache__" / f"{pure.stem}.cpython-{minor.replace('.', '')}.pyc")


def compile_all(
    modules: Iterable[tuple[Path, str]], python: Interpreter, minor: str, into: Path
) -> dict[str, Path]:
    """Compile modules, each a source and its path in the image without a leading slash.

    The bytecode's paths in the image, and where each lies now. Raises ``BuildError``.
    """
    lines, targets = [], {}
    for source, path in modules:
        cached = cached_path(path, minor)
        targets[cached] = into / cached
        lines.append(json.dumps([str(source), f"/{path}", str(into / cached)]) + "\n")
    done = python.run([compile_modules.__file__], stdin="".join(lines))
    if done.code != 0:
        raise BuildError(f"{python.argv[0]}: could not compile: {done.said()}")
    return {cached: file for cached, file in targets.items() if file.exists()}
