"""The settings of images: ``[image]``, each option declared once."""

from dataclasses import dataclass
from typing import Literal, get_args

from boxship.settings import choice, setting, size, switch, text, texts

Weights = Literal["auto", "bake", "mount", "fetch", "image-volume"]
LARGE_BYTES = 100_000_000
"""A model of as many is not baked into the image, unless the project says so."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """``[image]``: every key has an environment variable and a default; verbs pick their flags."""

    base: str = setting("", text(), "base image (default: python:3.X-slim-bookworm)")
    requirements: str = setting(
        "",
        text(),
        "file that names what to install, or a lock of uv or of PEP 751 (default: requirements.txt)",
    )
    weights: Weights = setting(  # noqa: RUF009 (a field, as dataclasses have them)
        "auto",
        choice(*get_args(Weights)),
        "how the model gets into the container; auto bakes what is under "
        f"{LARGE_BYTES // 10**6} MB",
    )
    budget: int = setting(0, size(), "largest size of the image, compressed; larger ones fail")
    platforms: tuple[str, ...] = setting(
        ("linux/amd64",), texts(), "what the image runs on, such as linux/amd64,linux/arm64"
    )
    slim: bool = setting(
        default=True,
        kind=switch(),
        help_="leave out files of packages that serving never reads, such as tests and headers",
    )
    compression: Literal["gzip", "zstd"] = setting(
        "gzip", choice("gzip", "zstd"), "of layers; Docker before 23 cannot read zstd"
    )
    allow: tuple[str, ...] = setting((), texts(), "files to ship although they look like secrets")
    system_packages: tuple[str, ...] = setting(
        (), texts(), "Debian packages to install; they need --builder docker or podman"
    )
    build_packages: tuple[str, ...] = setting(
        (), texts(), "Debian packages that only the build needs, such as gcc; an engine's too"
    )
    run: tuple[str, ...] = setting(
        (), texts(), "shell commands to run; they need --builder docker or podman"
    )
