"""Runs under the Python of the image's minor version: compiles modules, one in a line of input.

Each line is JSON, since a name may hold anything: a source, the path that it will have in the
image, and where the bytecode goes. Imports nothing of Boxship, since that Python need not have it.
"""

import json
import py_compile
import sys
from pathlib import Path


def main() -> None:
    """Compile; a module that this Python cannot compile is left as its source alone."""
    for line in sys.stdin:
        source, shown, target = json.loads(line)
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        # Unchecked: a container's file times say nothing, and its root may be read-only.
        try:
            py_compile.compile(
                source,
                cfile=target,
                dfile=shown,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except (py_compile.PyCompileError, UnicodeError, ValueError):
            continue


if __name__ == "__main__":
    main()
