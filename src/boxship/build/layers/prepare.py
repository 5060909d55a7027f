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


def main() -> None:
    """Prepare one layer of packages."""
    root, folder = Path(sys.argv[1]), Path(sys.argv[2])
    slimmed = "--keep-all" not in sys.argv
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8") as file:
            rows = [(slim.place(row[0]), *row[1:]) for row in csv.reader(file) if row]
        kept = [row for row in rows if slim.stays(folder, row[0], slimmed=slimmed)]
        with record.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(sorted(kept))
        for path in {row[0] for row in rows} - {row[0] for row in kept} - {""}:
            (folder / path).unlink(missing_ok=True)
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    main()
