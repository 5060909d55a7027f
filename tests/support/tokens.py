"""A server of tokens, which a real registry believes: it signs what a login may do."""

import base64
import contextlib
import datetime as dt
import http.server
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from support.registry import PASSWORD, USER
from support.stores import threaded

ISSUER, SERVICE = "tests", "registry of the tests"
IDENTITY_TOKEN = "stands for both"


@dataclass
class Tokens:
    """Gives ``USER`` what is asked for, and anybody a pull of ``public``."""

    certificate: Path
    key: ec.EllipticCurvePrivateKey
    port: int = 0
    busy: int = 0
    """So many answers are 503 before it recovers."""
    retry_after: str = "0"
    """What those ask for."""
    lasting_s: float = 300
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and scopes of each."""

    @property
    def auth(self) -> dict[str, Any]:
        """What the registry is told."""
        told = {
            "realm": f"http://127.0.0.1:{self.port}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.certificate),
        }
        return {"token": told}

    def signed(self, scopes: list[str], *, trusted: bool) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = actions.split(",") if trusted else ["pull"] if name == "public" else []
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "",
            "aud": SERVICE,
            "jti": "1",
            "access": access,
            "iat": now,
            "nbf": now - 10,
            "exp": now + int(self.lasting_s),
        }
        loaded = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        chain = base64.b64encode(loaded.public_bytes(Encoding.DER)).decode()
        header = {"typ": "JWT", "alg": "ES256", "x5c": [chain]}
        text = ".".join(_coded(json.dumps(one).encode()) for one in (header, claims))
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_coded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def tokens(folder: Path) -> Iterator[Tokens]:
    """Give tokens until the end."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "root.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    made = Tokens(folder / "root.pem", key)
    with threaded(type("Handler", (_Giving,), {"tokens": made})) as port:
        made.port = port
        yield made


class _Giving(http.server.BaseHTTPRequestHandler):
    tokens: Tokens

    def do_GET(self) -> None:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = self.headers.get("authorization")
        asked = parse_qs(urlsplit(self.path).query)
        self.give(asked, trusted=given == f"Basic {pair}", refused=given is not None)

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        trusted = asked["refresh_token"] == [IDENTITY_TOKEN]
        self.give(asked, trusted=trusted, refused=True)

    def give(self, asked: dict[str, list[str]], *, trusted: bool, refused: bool) -> None:
        made = self.tokens
        scopes = " ".join(asked["scope"]).split()
        made.requests.append((self.command, " ".join(scopes)))
        if made.busy:
            made.busy -= 1
            self.send_response(503)
            self.send_header("retry-after", made.retry_after)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if asked["service"] != [SERVICE] or (refused and not trusted):
            self.send_error(401)
            return
        token = made.signed(scopes, trusted=trusted)
        key = "access_token" if self.command == "POST" else "token"
        body = json.dumps({key: token}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
