"""Runs in a Dockerfile's build stage: leaves out what serving never reads, compiles the rest.

It lies there beside ``slim.py`` and needs nothing else of Boxship.

    python prepare.py ROOT FOLDER [--keep-all]

``FOLDER`` is where the packages are, below ``ROOT``, which becomes ``/``.
"""

import compileall
import csv
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

import slim  # type: ignore[import-not-found]  # the file beside this one

_SCRIPTS = "bin/"
_NOTES = ("INSTALLER", "REQUESTED", "direct_url.json")


def main() -> None:
    """Prepare one layer of packages."""
    root, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
        kept = [row for row in rows if _stays(folder, row[0], all_="--keep-all" in sys.argv)]
        with record.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(sorted(kept))
        for row in rows:
            if row not in kept:
                (folder / row[0]).unlink(missing_ok=True)
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def _stays(folder: Path, path: str, *, all_: bool) -> bool:
    name = path.rpartition("/")[2]
    if name in _NOTES or (not all_ and slim.left_out(path)):
        return False
    # A script names the Python of this stage, at a path that is not the image's.
    return not (path.startswith(_SCRIPTS) and _is_script(folder / path))


def _is_script(file: Path) -> bool:
    return file.is_file() and file.read_bytes()[:2] == b"#!"


if __name__ == "__main__":
    main()
