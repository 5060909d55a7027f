"""What tests of images share: a base, a cache for all, and a project."""

from pathlib import Path

import pytest
from support import models
from support.images import MakeProject, make_base

from boxship import project
from boxship.build.layers.layer_cache import LayerCache
from boxship.project import Project


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base image with this machine's Python, as a layout."""
    return make_base(tmp_path_factory.mktemp("base") / "base.oci")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> LayerCache:
    return LayerCache(tmp_path_factory.mktemp("images"))


@pytest.fixture
def make_project(tmp_path: Path, base: Path) -> MakeProject:
    """``make_project("model = …")``: a folder with these settings and a small model."""

    def make(settings: str, **files: str) -> Project:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        if not (folder / "churn.onnx").exists():
            models.save_identity(folder, [("image", "FP32", (None, 2))]).rename(
                folder / "churn.onnx"
            )
        for name, text in files.items():
            file = folder / name.replace("__", "/").replace("_py", ".py").replace("_txt", ".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        text = settings if "[image]" in settings else f"{settings}\n[image]\n"
        if "base =" not in text:
            text += f'base = "oci:{base}"\n'
        (folder / "boxship.toml").write_text(text)
        return project.resolve(str(folder), flags={}, environ={}, cwd=folder).project

    return make
