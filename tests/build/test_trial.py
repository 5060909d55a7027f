"""The look at what was built: whatever goes wrong with it is said."""

import pytest
from support.images import MakeProject, planned

from boxship.build.base.interpreter import Interpreter
from boxship.build.layers.layer_cache import LayerCache
from boxship.build.trial import try_imports
from boxship.errors import BuildError


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -9 $$", "exit code -9"),
        ("echo no such module >&2; exit 1", "no such module"),
        ("echo tool: no such module", "tool: no such module"),
    ],
    ids=["it says nothing", "an error", "what failed"],
)
def test_a_python_that_fails_is_not_taken_for_one_that_imports_all(
    make_project: MakeProject, cache: LayerCache, script: str, said: str
) -> None:
    plan = planned(make_project('model = "churn.onnx"\n'), cache)
    python = Interpreter(("/bin/sh", "-c", script), {}, own=True)
    with pytest.raises(BuildError, match=f"packages to be imported, found:\n{said}"):
        try_imports(plan, python, [], cache.blobs)
