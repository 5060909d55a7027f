"""What a machine is trusted by, and what it trusts: roles and certificates, at real servers."""

import contextlib
import datetime as dt
import http.server
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.stores import KEYS, S3, s3_server

from boxship.errors import EXIT_FETCH


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[S3]:
    with s3_server(folder / "log") as server:
        server.put("churn.bin", b"weights")
        yield server


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Path:
    """Of a server on loopback, signed by nobody else, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    kind = serialization.PrivateFormat.PKCS8
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(pem) + key.private_bytes(pem, kind, serialization.NoEncryption())
    )
    return path


def fetched(s3: S3, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """``boxship fetch`` in a process that finds nothing but ``environ``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    clean |= {"HOME": str(home), "BOXSHIP_CACHE": str(home / "cache"), "AWS_REGION": "eu-west-1"}
    clean |= {"AWS_ENDPOINT_URL": s3.environ["AWS_ENDPOINT_URL"], **environ}
    argv = [sys.executable, "-m", "boxship", "fetch", "s3://models/churn.bin"]
    return subprocess.run(argv, env=clean, capture_output=True, text=True, check=False)


def test_the_role_of_the_machine(s3: S3, tmp_path: Path) -> None:
    """As an EC2 instance has it from its metadata."""
    done = fetched(s3, tmp_path, AWS_METADATA_ENDPOINT=s3.environ["AWS_ENDPOINT_URL"])
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == b"weights"


@contextlib.contextmanager
def token_service(s3: S3, certificate: Path) -> Iterator[str]:
    """Moto's token service over TLS; it takes only a form what AWS takes in a query too."""

    class Relay(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = {"content-type": "application/x-www-form-urlencoded"}
            query = self.path.partition("?")[2].encode()
            answer = httpx.post(s3.environ["AWS_ENDPOINT_URL"], content=query, headers=form)
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_the_role_of_a_workload(s3: S3, certificate: Path, tmp_path: Path) -> None:
    """As a Kubernetes service account has it: a token that is changed into keys."""
    token = tmp_path / "token"
    token.write_text("a.service.account")
    with token_service(s3, certificate) as url:
        done = fetched(
            s3,
            tmp_path,
            AWS_WEB_IDENTITY_TOKEN_FILE=str(token),
            AWS_ROLE_ARN="arn:aws:iam::123456789012:role/reader",
            AWS_ENDPOINT_URL_STS=url,
            AWS_CA_BUNDLE=str(certificate),
        )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == b"weights"


def test_a_store_behind_a_certificate_of_ones_own(certificate: Path, tmp_path: Path) -> None:
    """The variable of the store's own tools comes before the machine's."""
    with s3_server(tmp_path / "log", certificate=certificate) as s3:
        s3.put("churn.bin", b"weights")
        unknown = fetched(s3, tmp_path, **KEYS)
        done = fetched(s3, tmp_path, **KEYS, AWS_CA_BUNDLE=str(certificate))
    assert unknown.returncode == EXIT_FETCH, "nobody vouches for the certificate"
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == b"weights"


@pytest.mark.parametrize("attempt", range(3))
def test_nobody_ends_with_the_code_that_says_so(s3: S3, tmp_path: Path, attempt: int) -> None:
    """The store's library has threads of its own, which have been seen to abort the end."""
    done = fetched(s3, tmp_path, AWS_METADATA_ENDPOINT="http://127.0.0.1:9", ATTEMPT=str(attempt))
    assert done.returncode == EXIT_FETCH, done.stderr
