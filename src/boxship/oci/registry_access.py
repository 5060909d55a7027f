"""How a registry is spoken to: its scheme, its tokens, and once more while it is busy."""

import base64
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from boxship.errors import ImageError
from boxship.oci.credentials import Login, find
from boxship.oci.patience import BUSY, TRIES, Patience
from boxship.oci.reference import Reference, is_loopback

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')

Scopes = tuple[str, ...]


class _BusyError(httpx.TransportError):
    """Whoever gives the tokens is busy."""

    def __init__(self, realm: str, answer: httpx.Response) -> None:
        super().__init__(f"{realm} answers {answer.status_code}")
        self.retry_after = retry_after(answer)


def retry_after(answer: httpx.Response) -> str:
    """When to come back, in the registry's words; "" where it says nothing."""
    return str(answer.headers.get("retry-after", ""))


class Access:
    """One registry, logged in as the user is. Safe for several threads.

    https://distribution.github.io/distribution/spec/auth/token/
    """

    def __init__(
        self, reference: Reference, *, login: Callable[[str], Login | None] = find
    ) -> None:
        self.host = reference.host
        self.patience = Patience()
        self._login = login(reference.registry)
        self._client = httpx.Client(
            timeout=httpx.Timeout(30, read=120),
            follow_redirects=True,
            limits=httpx.Limits(max_connections=8),
        )
        self._tokens: dict[Scopes, str] = {}
        self._basic = False
        self._lock = threading.Lock()
        self._base = ""

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def url(self, path: str) -> str:
        """The address of a path of the registry."""
        with self._lock:
            self._base = self._base or self._scheme()
        return f"{self._base}{path}"

    def request(
        self,
        method: str,
        path: str,
        *,
        scopes: Scopes,
        headers: Mapping[str, str] | None = None,
        content: Callable[[], Any] | None = None,
        stream: bool = False,
    ) -> httpx.Response:
        """Ask once and again while the registry is busy; ``content`` makes the body anew.

        With ``stream`` the answer's body is still to be read, and the answer to be closed.
        Raises ``ImageError`` where the registry cannot be reached.
        """
        for attempt in range(1, TRIES + 1):
            try:
                response = self._asked(method, path, scopes, headers or {}, content, stream=stream)
            except httpx.TransportError as error:
                # A host that is not there will not be there in a second.
                if attempt == (2 if isinstance(error, httpx.ConnectError) else TRIES):
                    raise ImageError(f"{self.host}: cannot be reached: {error}") from error
                wanted = error.retry_after if isinstance(error, _BusyError) else ""
            else:
                if response.status_code not in BUSY or attempt == TRIES:
                    return response
                response.close()
                wanted = retry_after(response)
            self.patience.pause(attempt, wanted)
        raise AssertionError

    def once(
        self,
        method: str,
        path: str,
        *,
        scopes: Scopes,
        headers: Mapping[str, str],
        content: Callable[[], Any],
    ) -> httpx.Response:
        """Ask one time. Raises ``httpx.TransportError``."""
        return self._asked(method, path, scopes, headers, content, stream=False)

    @contextmanager
    def streamed(self, path: str, *, scopes: Scopes, start: int) -> Iterator[httpx.Response]:
        """The answer to a GET, from byte ``start`` on, its body still to be read."""
        # The digest is of the blob as it is, not of what an encoding makes of it on the way.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        response = self.request("GET", path, scopes=scopes, headers=headers, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _asked(
        self,
        method: str,
        path: str,
        scopes: Scopes,
        headers: Mapping[str, str],
        content: Callable[[], Any] | None,
        *,
        stream: bool,
    ) -> httpx.Response:
        url = path if "://" in path else self.url(path)
        # A place that the registry gave may be anybody's: it learns of no login.
        ours = _origin(url) == _origin(self.url("/"))

        def ask(authorization: str) -> httpx.Response:
            sent = {**headers, **({"Authorization": authorization} if authorization else {})}
            body = content() if content else None
            request = self._client.build_request(method, url, headers=sent, content=body)
            return self._client.send(request, stream=stream)

        with self._lock:
            given = self._authorization(scopes) if ours else ""
        response = ask(given)
        if response.status_code != 401 or not ours:
            return response
        challenge = response.headers.get("www-authenticate", "")
        with self._lock:
            # Another thread may have logged in since.
            again = self._authorization(scopes) != given or self._log_in(challenge, scopes)
            authorization = self._authorization(scopes)
        if not again:
            return response
        response.close()
        return ask(authorization)

    def _authorization(self, scopes: Scopes) -> str:
        if token := self._tokens.get(scopes):
            return f"Bearer {token}"
        if self._basic and self._login:
            pair = f"{self._login.user}:{self._login.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return ""

    def _log_in(self, challenge: str, scopes: Scopes) -> bool:
        """Do what a 401 asks for; whether asking again makes sense."""
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic":
            fresh = not self._basic
            self._basic = True
            return fresh and self._login is not None
        if kind != "bearer":
            return False
        told = dict(_PARAMETER.findall(challenge))
        if "realm" not in told:
            return False
        token = self._token(told["realm"], told.get("service", ""), scopes)
        if token:
            self._tokens[scopes] = token
        return bool(token)

    def _token(self, realm: str, service: str, scopes: Scopes) -> str:
        if self._login and self._login.token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": "boxship",
                "scope": " ".join(scopes),
                "refresh_token": self._login.token,
            }
            response = self._client.post(realm, data=form)
        else:
            query = {"service": service, "scope": list(scopes)}
            auth = (self._login.user, self._login.password) if self._login else None
            response = self._client.get(realm, params=query, auth=auth)
        if response.status_code in BUSY:
            raise _BusyError(realm, response)
        if response.status_code >= 400:
            return ""
        try:
            answer = response.json()
            return str(answer.get("token") or answer.get("access_token") or "")
        except (ValueError, AttributeError):
            raise ImageError(f"{realm}: expected a token as JSON, found something else.") from None

    def _scheme(self) -> str:
        """``https``; for a registry on this machine also ``http``, as all tools do it."""
        secure = f"https://{self.host}"
        if not is_loopback(self.host):
            return secure
        try:
            self._client.get(f"{secure}/v2/")
        except httpx.TransportError:
            return f"http://{self.host}"
        return secure


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
