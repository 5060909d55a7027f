"""A look at what was built: the image's own packages are imported once, out of its own layers."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from boxship.build.asked import requirement_lines
from boxship.build.base.interpreter import Interpreter
from boxship.build.layers import installed
from boxship.build.plan import PACKAGES, BuildPlan
from boxship.errors import BuildError
from boxship.oci.blobs import Blobs
from boxship.oci.contents import unpack
from boxship.oci.layer import Layer

_OWN = ("boxship.serve.processes.worker", "boxship.serve.processes.supervisor", "boxship.cli.serve")
_SCRIPT = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
failed = []
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
from boxship.cli.main import parser
parser()
print("\\n".join(failed))
"""


def try_imports(
    plan: BuildPlan, python: Interpreter, layers: Sequence[Layer], blobs: Blobs
) -> None:
    """Import Boxship and what the requirements name, with the base's Python and libraries.

    Raises ``BuildError`` with what fails.
    """
    with tempfile.TemporaryDirectory(prefix="boxship-trial-") as folder:
        room = Path(folder)
        for layer in layers:
            unpack(layer.blob, blobs, room)
        site = room / PACKAGES
        names = [*_OWN, *_top_modules(site, _asked_for(plan))]
        done = python.run(["-c", _SCRIPT, str(site), *names], cwd=room)
        failed = done.stdout.strip() or (done.said() if done.code else "")
    if failed:
        raise BuildError(
            f"Expected the image's packages to be imported, found:\n{failed}",
            tip="If a file that was left out is missed, keep them all: [image] slim = false.",
        )


def _asked_for(plan: BuildPlan) -> set[str]:
    """The distributions that a requirement names, not those that come along."""
    written = (line.text for line in plan.requirements.named if not line.limits)
    # A wheel of the user's own is named by its path.
    locked = plan.locked.wheels.values()
    found: set[str] = {
        canonicalize_name(one.name) for wheels in locked for one in wheels if one.place
    }
    for line in (*plan.requirements.lines, *written):
        if asked := requirement_lines.requirement(line):
            found.add(canonicalize_name(asked.name))
    return found


def _top_modules(site: Path, distributions: set[str]) -> list[str]:
    """The packages that those distributions have, by their RECORDs."""
    found = set()
    for name, record in installed.records(site):
        if name not in distributions:
            continue
        for path, *_ in installed.rows(record):
            top, slash, rest = path.partition("/")
            if slash and rest == "__init__.py" and top.isidentifier():
                found.add(top)
            elif not slash and top.endswith(".py"):
                found.add(top.removesuffix(".py"))
    return sorted(found)
