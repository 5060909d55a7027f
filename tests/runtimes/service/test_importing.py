"""``module:attr``: what is found, what is not, and what a found thing is."""

import functools
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from boxship import Service
from boxship.errors import ModelError, UsageError
from boxship.runtimes.service.importing import import_target, kind_of

_numbers = itertools.count()

CODE = """
from boxship import Service

class Churn(Service):
    def predict(self, rows: list[dict]) -> list[float]:
        return []

class Box:
    inner = Churn()

async def app(scope, receive, send): ...
"""


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Imports of one test leave nothing to the next."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def module(tmp_path: Path) -> str:
    """The name of a new module in ``tmp_path`` that holds ``CODE``."""
    return write(tmp_path, CODE)


def write(folder: Path, code: str) -> str:
    name = f"users_module_{next(_numbers)}"
    (folder / f"{name}.py").write_text(code)
    return name


@pytest.mark.parametrize(("attr", "type_name"), [("Churn", "type"), ("Box.inner", "Churn")])
def test_a_class_or_a_dotted_attribute(
    tmp_path: Path, module: str, attr: str, type_name: str
) -> None:
    assert type(import_target(f"{module}:{attr}", [tmp_path])).__name__ == type_name


def test_a_module_in_a_package(tmp_path: Path) -> None:
    (tmp_path / "users_package").mkdir()
    (tmp_path / "users_package" / "service.py").write_text(CODE)
    found: Any = import_target("users_package.service:Churn", [tmp_path])
    assert found.__module__ == "users_package.service"
    with pytest.raises(UsageError, match=r"no module 'users_package\.servce'") as caught:
        import_target("users_package.servce:Churn", [tmp_path])
    assert caught.value.tip == "Did you mean 'users_package.service'?"
    with pytest.raises(UsageError, match=r"'users_package\.service' is no package"):
        import_target("users_package.service.more:Churn", [tmp_path])


def test_the_first_folder_wins_and_all_stay_on_the_path(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        (folder / "users_twice.py").write_text(f"place = {folder.name!r}")
    assert import_target("users_twice:place", [*folders, folders[0]]) == "first"
    assert sys.path[:2] == [str(folder) for folder in folders]


@pytest.mark.parametrize(
    ("target", "tip"),
    [
        ("service", "Write the module's import name, a colon"),
        ("service:", "Write the module's import name, a colon"),
        (":Churn", "Write the module's import name, a colon"),
        ("src/service.py:Model", "not its file: src.service:Model."),
        ("./service.py", "not its file: service:Churn."),
        ("my-service:Churn", "Write the module's import name"),
    ],
)
def test_a_target_of_another_form(target: str, tip: str) -> None:
    with pytest.raises(UsageError, match="Expected module:attribute") as caught:
        import_target(target, [])
    assert tip in caught.value.tip


def test_a_module_that_is_not_there(tmp_path: Path, module: str) -> None:
    with pytest.raises(UsageError) as caught:
        import_target(f"{module[:-1]}x:Churn", [tmp_path])
    assert str(tmp_path) in caught.value.message
    assert "Did you mean 'users_module_" in caught.value.tip
    with pytest.raises(UsageError) as caught:
        import_target("nothing_like_it:Churn", [tmp_path / "none"])
    assert caught.value.tip == "Is the module in another folder?"


@pytest.mark.parametrize(
    ("attr", "tip"),
    [
        ("Chrn", "Did you mean 'Churn'?"),
        ("CHURN", "Did you mean 'Churn'?"),
        ("zzzzzzz", "It can serve: Churn, app."),
        ("Box.iner", "Did you mean 'inner'?"),
        ("Box.inner.predict.x", "Define a subclass of boxship.Service"),
    ],
)
def test_an_attribute_that_is_not_there(tmp_path: Path, module: str, attr: str, tip: str) -> None:
    with pytest.raises(UsageError, match=f"has no '{attr.rpartition('.')[2]}'") as caught:
        import_target(f"{module}:{attr}", [tmp_path])
    assert tip in caught.value.tip


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "x = 1\nimport no_such_package.part\n",
            ":2 imports 'no_such_package', and no such module",
        ),
        ("\n\nraise ValueError('oops')\n", r"ValueError: oops \(.*users_module_\d+.py:3\)"),
        ("def broken(:\n", r"SyntaxError: .*users_module_\d+.py:1\)"),
        ("from os import no_such_name\n", "ImportError: cannot import name 'no_such_name'"),
        ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(.*:2\)"),
        ("import json\njson.loads('{')\n", r"JSONDecodeError: .*users_module_\d+.py:2\)"),
    ],
)
def test_a_module_that_fails_is_a_model_error(tmp_path: Path, code: str, message: str) -> None:
    name = write(tmp_path, code)
    with pytest.raises(ModelError, match=message) as caught:
        import_target(f"{name}:Churn", [tmp_path])
    assert caught.value.message.startswith(f"Importing {name} failed: ")
    assert caught.value.tip


class Mine(Service):
    def predict(self, rows: list[Any]) -> list[float]:
        return []


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


async def configured(name: str, scope: Any, receive: Any, send: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


class Flask:
    """Looks as Flask's application does."""

    def wsgi_app(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    __call__ = wsgi_app


class Estimator:
    def predict(self, rows: Any) -> Any: ...


def create_app() -> FastAPI:
    return FastAPI()


@pytest.mark.parametrize("obj", [Mine, Mine()])
def test_a_service_is_a_service(obj: object) -> None:
    assert kind_of(obj) == "service"


@pytest.mark.parametrize(
    "obj",
    [
        asgi,
        AsgiObject(),
        AsgiObject().method,
        FastAPI(),
        functools.partial(configured, "x"),
    ],
)
def test_an_asgi_app_is_an_asgi_app(obj: object) -> None:
    assert kind_of(obj) == "asgi"


@pytest.mark.parametrize(
    ("obj", "found", "tip"),
    [
        (wsgi, "a WSGI application", "a2wsgi.WSGIMiddleware"),
        (Flask(), "a WSGI application (", "a2wsgi.WSGIMiddleware"),
        (AsgiObject, "the class AsgiObject", "an instance"),
        (Estimator(), "a model object (", "boxship serve model.joblib"),
        (create_app, "the function create_app", "app = create_app()"),
        (lambda one: one, "the function <lambda>", "async def app(scope, receive, send)"),
        (configured, "the function configured", "async def app(scope, receive, send)"),
        (sys, "the module sys", "inside it"),
        (3, "an object of type builtins.int", "not another value"),
        (None, "an object of type builtins.NoneType", "not another value"),
    ],
)
def test_anything_else_is_refused_with_what_it_is(obj: object, found: str, tip: str) -> None:
    with pytest.raises(UsageError) as caught:
        kind_of(obj)
    assert "Expected a subclass of boxship.Service, or an ASGI application" in caught.value.message
    assert f"found {found}" in caught.value.message
    assert tip in caught.value.tip
