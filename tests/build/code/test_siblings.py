"""Code that imports a module which is not shipped is no image: it could not start."""

import tomllib

import pytest
from support.images import MakeProject, planned

from boxship.build.code import own_code, siblings
from boxship.build.layers.layer_cache import LayerCache
from boxship.errors import UsageError
from boxship.lock import LockedRequirements, LockedWheel
from boxship.project import Project

MODEL = 'model = "churn.onnx"\n'
SERVE = f'app = "serve:app"\n{MODEL}'
INSIDE = f'app = "src.serve:app"\n{MODEL}'


def made(make_project: MakeProject, settings: str, files: dict[str, str]) -> Project:
    """A project with these files, by their paths."""
    found = make_project(settings)
    for name, text in files.items():
        file = found.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return found


def checked(found: Project, *wheels: LockedWheel) -> None:
    """Look at its imports as a plan does, with these locked."""
    paths = [entry.path.removeprefix("app/") for entry in own_code.entries(found)]
    siblings.check(found, paths, LockedRequirements("sha256:", wheels={"linux/amd64": wheels}))


def wheel(name: str, place: str = "") -> LockedWheel:
    return LockedWheel(name, "1", f"{name}-1-py3-none-any.whl", "sha256:", 1, place)


@pytest.mark.parametrize(
    ("settings", "files", "told", "code"),
    [
        (
            SERVE,
            {"serve.py": "import os\nimport features\n", "features.py": ""},
            "features.py (imported by serve.py, line 2)",
            ["serve.py", "features.py"],
        ),
        (
            INSIDE,
            {"src/serve.py": "from lib.a import b\n", "lib/a.py": ""},
            "lib (imported by src/serve.py, line 1)",
            ["src", "lib"],
        ),
        (
            INSIDE,
            {"src/serve.py": "def predict():\n    import lib\n", "lib/__init__.py": ""},
            "lib (imported by src/serve.py, line 2)",
            ["src", "lib"],
        ),
        (
            f'app = "churn.api:app"\ncode = ["src/churn"]\n{MODEL}',
            {"src/churn/api.py": "import helpers.one\n", "src/helpers/one/two.py": ""},
            "src/helpers (imported by src/churn/api.py, line 1)",
            ["src/churn", "src/helpers"],
        ),
        (
            f'service = "serve:Churn"\ncode = ["serve.py", "lib"]\n{MODEL}',
            {"serve.py": "import a\n", "lib/a/__init__.py": "from . import b\n",
             "lib/a/b.py": "import c\n", "c.py": "", "lib/c.json": ""},
            "c.py (imported by lib/a/b.py, line 1)",
            ["serve.py", "lib", "c.py"],
        ),
        (
            SERVE,
            {"serve.py": "import a\n", "a.py": "try:\n    from b.c import d\nfinally:\n    pass\n",
             "b/__init__.py": "", "b/c.py": "from ..e import f\nfrom ..b import g\n",
             "b/g.py": "import h\n", "h.py": ""},
            "a.py (imported by serve.py, line 1), b (imported by a.py, line 2), h.py (imported by b/g.py, line 1)",
            ["serve.py", "a.py", "b", "h.py"],
        ),
        (
            f'code = ["lib"]\ntrust = ["lib.steps"]\n{MODEL}',
            {"lib/steps.py": "import features\n", "lib/train.py": "import training\n",
             "features.py": "", "training.py": ""},
            "features.py (imported by lib/steps.py, line 1)",
            ["lib", "features.py"],
        ),
    ],
)  # fmt: skip
def test_a_sibling_that_is_not_shipped(
    make_project: MakeProject, settings: str, files: dict[str, str], told: str, code: list[str]
) -> None:
    """Also that of a sibling: what is to be written is told once."""
    found = made(make_project, settings, files)
    with pytest.raises(UsageError, match="found beside them: ") as caught:
        checked(found)
    assert caught.value.message.endswith(f"found beside them: {told}.")
    line = caught.value.tip.partition("too: ")[2]
    assert tomllib.loads(line) == {"code": code}
    kept = [one for one in settings.splitlines() if not one.startswith("code =")]
    checked(make_project("\n".join([*kept, line, ""])))


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("import json\n", {"json.py": ""}),
        ("import boxship\n", {"boxship.py": ""}),
        ("import nowhere\n", {}),
        ("import data\n", {"data/read.py": "", "data/a.csv": ""}),
        ("import data.rows\nfrom data import load\n", {"data/read.py": ""}),
        ("import notes\n", {"notes/a.md": ""}),
        ("from .. import features\nfrom ..lib import a\n", {"features.py": "", "lib/a.py": ""}),
        ("from ..project import features\n", {"features.py": "import lost\n", "lost.py": ""}),
        ("try:\n    import fast\nexcept ImportError:\n    import slow\n", {"fast.py": "", "slow.py": ""}),
        ("try:\n    import fast\nexcept (ValueError, ModuleNotFoundError):\n    pass\n", {"fast.py": ""}),
        ("try:\n    import fast\nexcept:\n    pass\n", {"fast.py": ""}),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    import fast\n", {"fast.py": ""}),
        ("import typing\nif typing.TYPE_CHECKING:\n    import kinds\n", {"kinds.py": ""}),
        ("if __name__ == '__main__':\n    import train\n", {"train.py": ""}),
        ("import features\n)\n", {"features.py": ""}),
        ("import features\n\0", {"features.py": ""}),
        ("x = '\\d'\n", {}),
    ],
)  # fmt: skip
def test_what_is_not_missed(make_project: MakeProject, text: str, files: dict[str, str]) -> None:
    checked(made(make_project, SERVE, {"serve.py": text, **files}))


def test_a_module_that_any_shipped_folder_has(make_project: MakeProject) -> None:
    """The code may put that folder on its path."""
    text = "import sys\nsys.path.append('src/vendor')\nimport features, more\n"
    files = {"src/vendor/features.py": "", "src/vendor/more/a.so": "",
             "features.py": "", "more/a.py": "", "more/__init__.py": ""}  # fmt: skip
    checked(made(make_project, INSIDE, {"src/serve.py": text, **files}))


def test_files_that_serving_does_not_import(make_project: MakeProject) -> None:
    files = {"src/serve.py": "", "src/train.py": "import features\n", "features.py": ""}
    checked(made(make_project, INSIDE, files))


@pytest.mark.parametrize(
    ("module", "wheels", "missed"),
    [
        ("my_features", [wheel("My-Features")], False),
        ("features", [wheel("acme-features-cpu")], False),
        ("features", [wheel("acme", "acme-1-py3-none-any.whl")], False),
        ("sklearn", [wheel("scikit-learn")], False),
        ("features", [wheel("acme"), wheel("myfeatures")], True),
        # Installed here, so that what it has is known.
        ("learn", [wheel("scikit-learn")], True),
        ("sklearn", [wheel("numpy")], True),
    ],
)
def test_a_module_that_a_wheel_may_have(
    make_project: MakeProject,
    module: str,
    wheels: list[LockedWheel],
    missed: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    found = make_project(SERVE, serve_py=f"import {module}\n", **{f"{module}_py": ""})
    if missed:
        with pytest.raises(UsageError, match=rf"{module}\.py \(imported by serve\.py, line 1\)"):
            checked(found, *wheels)
    else:
        checked(found, *wheels)


def test_a_plan_looks_for_siblings(make_project: MakeProject, cache: LayerCache) -> None:
    found = make_project(SERVE, serve_py="import features\n", features_py="")
    with pytest.raises(UsageError, match=r"features\.py \(imported by serve\.py, line 1\)"):
        planned(found, cache)
