"""What has to be installed to serve a model by itself, told by the model."""

from pathlib import Path

from boxship.artifact import formats, pickles
from boxship.artifact.formats import Format
from boxship.project import Project

# Beside what scikit-learn itself brings along.
_BOOSTING = ("xgboost", "lightgbm")
_FRAMES = "sklearn.compose"


def find(project: Project, model: Path) -> tuple[str, ...]:
    """Requirements; what a service or an application needs for its model, its own file says.

    A pickle needs the very minor version of scikit-learn that trained it. Raises ``ModelError``.
    """
    if project.service is not None or project.app is not None:
        return ()
    if formats.detect(model) is Format.ONNX:
        return ("boxship[onnx]",)
    report = pickles.scan(model)
    modules = {use.module for use in report.globals}
    found = [name for name in _BOOSTING if any(_within(module, name) for module in modules)]
    if report.sklearn_version:
        major, minor, *_ = report.sklearn_version.split(".")
        found.append(f"scikit-learn=={major}.{minor}.*")
    frames = any(_within(module, _FRAMES) for module in modules)
    return ("boxship[sklearn,pandas]" if frames else "boxship[sklearn]", *found)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
