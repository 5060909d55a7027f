"""The files of a folder of code: neither what tools leave there, nor unseen what is secret."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from boxship.build.code import own_outputs

_NEVER = frozenset({"__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache",
                    ".ruff_cache", ".ipynb_checkpoints", ".DS_Store"})  # fmt: skip
_SECRET = re.compile(
    r"\.env(\..+)?|.*\.env|\.envrc|.*\.(pem|key|p12|pfx|keystore|jks)"
    r"|id_(rsa|dsa|ecdsa|ed25519)(\..+)?|\.git|\.git-credentials|\.netrc|\.pypirc|\.npmrc|\.aws|\.ssh"
    r"|\.docker|\.kube|\.htpasswd|credentials(\.json)?|service-account(-key)?\.json",
    re.IGNORECASE,
)
_EXAMPLES = re.compile(r".*\.(example|sample|template)")


@dataclass(frozen=True)
class Found:
    """A file; what is ``secret`` by its name may be a folder too, which is not looked into."""

    path: Path
    secret: bool = False


def find(path: Path, allowed: Collection[Path], left: Collection[Path] = ()) -> Iterator[Found]:
    """The file at ``path``, or all in the folder there but for what Boxship wrote.

    Names in ``allowed`` are no secrets, nor is what lies in a folder of such a name. Links are
    followed, but for those to a folder that they lie in, or to what is ``left`` out.
    """
    return _Walk(allowed, left).entry(path, ())


def secret_above(file: Path, below: Path, allowed: Collection[Path]) -> Path | None:
    """What makes ``file`` a secret: its own name, or that of a folder between it and ``below``.

    None where nothing does, or what does is in ``allowed``.
    """
    above = [one for one in (file, *file.parents) if below in one.parents]
    secret = next((one for one in reversed(above) if _is_secret(one)), None)
    return None if secret in allowed else secret


@dataclass(frozen=True)
class _Walk:
    allowed: Collection[Path]
    left: Collection[Path]

    def entry(
        self, path: Path, above: tuple[Path, ...], *, vouched: bool = False
    ) -> Iterator[Found]:
        secret = not vouched and _is_secret(path)
        if secret and path not in self.allowed:
            yield Found(path, secret=True)
        elif path.is_dir():
            yield from self._folder(path, above, vouched=vouched or secret)
        elif path.is_file():
            yield Found(path)

    def _folder(self, path: Path, above: tuple[Path, ...], *, vouched: bool) -> Iterator[Found]:
        real = path.resolve()
        if any(one.is_relative_to(real) for one in above):
            return
        for entry in sorted(path.iterdir()):
            if not self._is_no_code(entry):
                yield from self.entry(entry, (*above, real), vouched=vouched)

    def _is_no_code(self, path: Path) -> bool:
        if path.name in _NEVER or path.suffix == ".pyc" or path.resolve() in self.left:
            return True
        return own_outputs.is_one(path)


def _is_secret(path: Path) -> bool:
    """A link is as secret as what it leads to."""
    return any(map(_looks_secret, (path.name, path.resolve().name)))


def _looks_secret(name: str) -> bool:
    return bool(_SECRET.fullmatch(name)) and not _EXAMPLES.fullmatch(name)
