"""The documentation page renders every operation, from the package alone."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from boxship.serve.documents import openapi, page as docs
from boxship.serve.messages import BodyLimits, Request, Response, Scope
from boxship.signature import Answer, Signature, TensorSpec

ROOT = Path(__file__).resolve().parents[3]
ASSETS = ROOT / "src/boxship/serve/documents/assets"
NAMES = ("swagger-ui-bundle.js", "swagger-ui.css", "initializer.js")
PREFIX = "/teams/risk"
COLUMN = TensorSpec(name="mean radius", datatype="FP64", example=14.1)
DOCUMENT = openapi.document(
    openapi.ApiDescription(
        name="churn <b>",
        version="7",
        signature=Signature(
            inputs=(COLUMN,),
            outputs=(TensorSpec(name="value", datatype="FP64", shape=(-1,)),),
            columns=(COLUMN,),
            answers=(Answer(name="value", output="value"),),
        ),
        runtime="scikit-learn 1.7.2",
        max_rows=3,
        max_body_bytes=1_000_000,
    )
)


class Site(ThreadingHTTPServer):
    """The page, its assets and the document behind a path prefix; notes what is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PREFIX}"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.removeprefix(PREFIX)
        name = path.removeprefix("/docs/")
        if path == "/docs":
            policy = {"Content-Security-Policy": docs.CONTENT_SECURITY_POLICY}
            self.answer(docs.CONTENT_TYPE, docs.page(DOCUMENT["info"]["title"]), policy)
        elif path == "/openapi.json":
            self.answer("application/json", json.dumps(DOCUMENT).encode(), {})
        elif (asset := docs.asset(name)) is not None:
            self.answer(asset.content_type, asset.gzip, {"Content-Encoding": "gzip"})
        else:
            self.send_error(404)

    def answer(self, content_type: str, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        headers |= {"Content-Type": content_type, "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests print nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_browser_renders_every_operation_behind_a_prefix(
    site: Site, need: Any, tmp_path: Path
) -> None:
    browser = need.program("chromium")
    result = subprocess.run(
        [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0"),
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=8000",
            "--dump-dom",
            f"{site.url}/docs#/Predict/predict",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    shown = set(re.findall(r'id="operations-(?!tag-)[^"]*-(\w+)"', result.stdout))
    assert shown == {
        operation["operationId"]
        for path in DOCUMENT["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }
    assert "14.1" in result.stdout, "the linked operation is open and shows its example"
    assert ">Execute<" in result.stdout, "requests can be tried at once"
    assert "<title>churn &lt;b&gt;</title>" in result.stdout
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert console == [], "no script error, nothing that the policy refuses"
    wanted = {"/docs", "/openapi.json", *(f"/docs/{name}" for name in NAMES)}
    assert set(site.asked) == {PREFIX + path for path in wanted}


def test_the_page_links_only_relative_and_inline_things() -> None:
    html = docs.page("churn").decode()
    links = re.findall(r'(?:src|href|data-openapi)="([^"]*)"', html)
    assert len(links) == 6
    for link in links:
        assert link.startswith(("docs/", "data:image/svg+xml,")) or link == "openapi.json"
    for link in links:
        if link.startswith("docs/"):
            assert docs.asset(link.removeprefix("docs/")) is not None


def test_the_page_has_no_inline_script_or_style_that_the_policy_would_refuse() -> None:
    html = docs.page("churn").decode()
    assert re.findall(r"<script(?![^>]* src=)", html) == []
    assert "<style" not in html
    assert " style=" not in html
    assert "unsafe" not in docs.CONTENT_SECURITY_POLICY


def test_a_title_is_text() -> None:
    assert "<title>a &lt;b&gt; &amp; c</title>" in docs.page("a <b> & c").decode()


def test_the_page_asks_no_validator_and_opens_for_trial() -> None:
    script = docs.asset("initializer.js")
    assert script is not None
    text = script.identity().decode()
    for option in ("validatorUrl: null", "deepLinking: true", "tryItOutEnabled: true"):
        assert option in text


@pytest.mark.parametrize("name", NAMES)
def test_an_asset_is_gzip_with_a_type_and_a_weak_tag(name: str) -> None:
    asset = docs.asset(name)
    assert asset is not None
    assert gzip.decompress(asset.gzip) == asset.identity()
    assert asset.content_type.startswith("text/css" if name.endswith(".css") else "text/javascript")
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', asset.etag)
    assert docs.asset(name) == asset


def ask(path: str, headers: dict[str, str]) -> Response:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {"type": "http", "method": "GET", "path": path, "headers": raw}
    request = Request(scope, receive, BodyLimits(max_bytes=0, timeout_s=1.0))
    return docs.asset_response(request)


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.00, identity", False),
        ("br", False),
        ("", False),
    ],
)
def test_an_asset_travels_as_the_client_takes_it(accepted: str, *, packed: bool) -> None:
    response = ask("/docs/swagger-ui.css", {"accept-encoding": accepted})
    asset = docs.asset("swagger-ui.css")
    assert asset is not None
    assert response.status == 200
    assert response.content_type == b"text/css; charset=utf-8"
    assert ((b"content-encoding", b"gzip") in response.headers) == packed
    assert response.body == (asset.gzip if packed else asset.identity())
    assert (b"etag", asset.etag.encode()) in response.headers


def test_an_asset_that_the_client_has_is_not_sent_again() -> None:
    asset = docs.asset("initializer.js")
    assert asset is not None
    response = ask("/docs/initializer.js", {"if-none-match": f'"other", {asset.etag}'})
    assert (response.status, response.body) == (304, b"")
    assert (b"etag", asset.etag.encode()) in response.headers
    assert ask("/docs/initializer.js", {"if-none-match": '"other"'}).status == 200


def test_an_asset_that_is_not_there_is_named() -> None:
    response = ask("/docs/other.js", {})
    assert response.status == 404
    assert b"swagger-ui.css" in response.body
    assert b"/docs/other.js" in response.body


def test_the_page_is_answered_with_its_policy() -> None:
    response = docs.page_response("churn")
    assert (response.status, response.body) == (200, docs.page("churn"))
    headers = dict(response.headers)
    assert headers[b"content-security-policy"].decode() == docs.CONTENT_SECURITY_POLICY


def test_the_assets_are_those_that_the_page_loads() -> None:
    assert docs.ASSETS == NAMES


def test_the_tags_differ() -> None:
    tags = {asset.etag for name in NAMES if (asset := docs.asset(name)) is not None}
    assert len(tags) == len(NAMES)


@pytest.mark.parametrize(
    "name", ["", "VERSION.json", "LICENSE-swagger-ui", "../docs.py", "swagger-ui.css.gz", "/etc"]
)
def test_nothing_else_is_served(name: str) -> None:
    assert docs.asset(name) is None


def test_the_vendored_files_are_those_of_the_version_noted() -> None:
    noted = json.loads((ASSETS / "VERSION.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"5\.\d+\.\d+", noted["version"])
    assert noted["sha256"] == {
        name: hashlib.sha256(gzip.decompress((ASSETS / f"{name}.gz").read_bytes())).hexdigest()
        for name in ("swagger-ui-bundle.js", "swagger-ui.css")
    }


def test_the_vendored_files_bear_their_licence_and_stay_small() -> None:
    licence = (ASSETS / "LICENSE-swagger-ui").read_text(encoding="utf-8")
    for words in ("Apache License", "SmartBear Software", "MIT"):
        assert words in licence
    assert all(path.stat().st_size < 1_000_000 for path in ASSETS.iterdir())


def npm_tarball(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return path


def refresh(tarball: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    folder.mkdir()
    return subprocess.run(
        [
            sys.executable,
            ROOT / "tools" / "refresh_swagger_ui.py",
            *("--from", tarball, "--to", folder),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


PACKAGE = {
    "package.json": b'{"version": "5.0.1"}',
    "swagger-ui-bundle.js": b"bundle" * 100,
    "swagger-ui.css": b"css" * 100,
    "LICENSE": b"Apache License\n",
    "NOTICE": b"SmartBear Software\n",
    "swagger-ui-bundle.js.LICENSE.txt": b"MIT\n",
}


def test_refreshing_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    tarball = npm_tarball(tmp_path / "swagger-ui-dist-5.0.1.tgz", PACKAGE)
    written = []
    for name in ("first", "second"):
        result = refresh(tarball, tmp_path / name)
        assert result.returncode == 0, result.stderr
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {path.name for path in ASSETS.iterdir()} - {"initializer.js"}
    assert gzip.decompress(written[0]["swagger-ui.css.gz"]) == PACKAGE["swagger-ui.css"]
    assert json.loads(written[0]["VERSION.json"])["version"] == "5.0.1"


@pytest.mark.parametrize("missing", sorted(PACKAGE))
def test_a_package_that_lacks_a_file_changes_nothing(tmp_path: Path, missing: str) -> None:
    files = {name: content for name, content in PACKAGE.items() if name != missing}
    result = refresh(npm_tarball(tmp_path / "package.tgz", files), tmp_path / "to")
    assert result.returncode == 1
    assert f"expected package/{missing}" in result.stderr
    assert "Traceback" not in result.stderr
    assert list((tmp_path / "to").iterdir()) == []
