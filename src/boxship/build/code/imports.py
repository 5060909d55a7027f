"""What a file of Python imports whenever it runs, told from its text: nothing of it is run."""

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CATCHES = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True)
class Import:
    """``from ..a.b import c`` is level 2, parts a and b, names c; ``line`` counts from 1."""

    level: int
    parts: tuple[str, ...]
    names: tuple[str, ...]
    line: int


def find(file: Path) -> tuple[Import, ...]:
    """The imports of ``file``, those in functions too; none where it is no Python.

    What a condition decides, and what may fail without harm, is not among them.
    """
    try:
        with warnings.catch_warnings():
            # Of a strange escape its author hears elsewhere.
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
        return tuple(_within(tree.body))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()


def _within(body: Sequence[ast.AST]) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(0, tuple(name.name.split(".")), (), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            parts = tuple(node.module.split(".")) if node.module else ()
            yield Import(node.level, parts, tuple(one.name for one in node.names), node.lineno)
        elif not _may_be_left(node):
            yield from _within(list(ast.iter_child_nodes(node)))


def _may_be_left(node: ast.AST) -> bool:
    """Whether nothing is wrong where what stands in it is missing: TYPE_CHECKING is such an if."""
    if isinstance(node, ast.Try | ast.TryStar):
        caught = [one.type for one in node.handlers]
    elif isinstance(node, ast.With | ast.AsyncWith):
        # contextlib.suppress
        calls = [one.context_expr for one in node.items]
        caught = [arg for call in calls if isinstance(call, ast.Call) for arg in call.args]
    else:
        return isinstance(node, ast.If | ast.Match)
    return any(one is None or bool(_named(one) & _CATCHES) for one in caught)


def _named(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
