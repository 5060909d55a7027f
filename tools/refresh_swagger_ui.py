"""Rewrite the vendored Swagger UI in ``src/boxship/serve/documents/assets`` from its npm package.

    python tools/refresh_swagger_ui.py            the newest 5.x, through ``npm pack``
    python tools/refresh_swagger_ui.py 5.35.0     that version
    python tools/refresh_swagger_ui.py --from swagger-ui-dist-5.35.0.tgz

The same package gives the same bytes: nothing of the clock goes into the files.
"""

import argparse
import base64
import gzip
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "swagger-ui-dist"
ASSETS = Path(__file__).resolve().parent.parent / "src/boxship/serve/documents/assets"
SERVED = ("swagger-ui-bundle.js", "swagger-ui.css")
LICENSES = ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")
"""The package's own licence and the notices of what its bundle contains."""


def main() -> None:
    """Parse, pack, write, and print what is there now."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", nargs="?", default="5", help="npm version or range (default 5)")
    parser.add_argument("--from", dest="tarball", type=Path, help="an npm tarball already here")
    parser.add_argument("--to", type=Path, default=ASSETS, help="folder to write (default: ours)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tarball = arguments.tarball or npm_pack(arguments.version, Path(folder))
        print(json.dumps(write_assets(tarball, arguments.to), indent=2))


def npm_pack(version: str, folder: Path) -> Path:
    """Fetch the package into ``folder`` and return its tarball."""
    command = ["npm", "pack", f"{PACKAGE}@{version}", "--ignore-scripts", "--silent"]
    subprocess.run([*command, "--pack-destination", str(folder)], check=True)
    (tarball,) = folder.glob(f"{PACKAGE}-*.tgz")
    return tarball


def write_assets(tarball: Path, folder: Path) -> dict[str, object]:
    """Write the served files, the licences and ``VERSION.json``; return what the last one says."""
    content = {name: member(tarball, name) for name in (*SERVED, *LICENSES, "package.json")}
    for name in SERVED:
        (folder / f"{name}.gz").write_bytes(gzip.compress(content[name], 9, mtime=0))
    licence = b"\n".join(content[name] for name in LICENSES)
    (folder / "LICENSE-swagger-ui").write_bytes(licence)
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    version: dict[str, object] = {
        "package": PACKAGE,
        "version": json.loads(content["package.json"])["version"],
        "integrity": f"sha512-{digest}",
        "sha256": {name: hashlib.sha256(content[name]).hexdigest() for name in SERVED},
    }
    (folder / "VERSION.json").write_text(json.dumps(version, indent=2) + "\n", encoding="utf-8")
    return version


def member(tarball: Path, name: str) -> bytes:
    """One file of the package."""
    with tarfile.open(tarball) as archive:
        try:
            reader = archive.extractfile(f"package/{name}")
        except KeyError:
            reader = None
        if reader is None:
            raise SystemExit(
                f"{tarball}: expected package/{name}, found no such file; try another version."
            )
        return reader.read()


if __name__ == "__main__":
    main()
