"""What Boxship has written into a project: no code, or each build would ship the last one."""

import re
from pathlib import Path

ADDED = ".boxship"
"""The folder of the build context with what Boxship adds to the project: its own wheel, the
hashed requirements, the settings that it writes."""
DOCKERFILE_HEAD = "# Written by `boxship dockerfile`."
IGNORE_HEAD = f"*\n!{ADDED}\n"

_CONTENTS = ".cdx.json"
_ARCHIVED = re.compile(rb"(blobs/(sha256/([0-9a-f]{64})?)?|[0-9a-f]{64}(/|\.json|\.tar(\.gz)?))\0")
"""The first name in an image's archive, by whichever builder: that of a blob, or their folder."""
_TAR_MAGIC = slice(257, 262)


def is_one(path: Path) -> bool:
    """Whether a build, or ``boxship dockerfile``, made the file or folder. Raises ``OSError``."""
    if path.is_dir():
        # A name of more is that of a folder that becomes such a one.
        return path.name == ADDED or path.name.startswith(f"{ADDED}-") or _is_layout(path)
    if not path.is_file():
        return False
    if path.name.endswith(_CONTENTS):
        # Of several platforms, each has its own: NAME.amd64.cdx.json.
        layout = path.with_name(path.name.removesuffix(_CONTENTS))
        return any(map(_is_layout, (layout, layout.with_suffix(""))))
    with path.open("rb") as file:
        head = file.read(512)
    if path.name in ("Dockerfile", ".dockerignore"):
        return head.startswith((DOCKERFILE_HEAD.encode(), IGNORE_HEAD.encode()))
    return head[_TAR_MAGIC] == b"ustar" and bool(_ARCHIVED.match(head))


def _is_layout(folder: Path) -> bool:
    return (folder / "oci-layout").is_file()
