"""The logins that uv finds for a server, found for ourselves, who ask it for what uv does not."""

import contextlib
import netrc
from collections.abc import Iterable, Mapping
from pathlib import Path

import httpx

from boxship import process
from boxship.build import address
from boxship.errors import BoxshipError

Login = tuple[str, str]


class Logins:
    """A host's login is that of an index there, else the one in netrc.

    ``indexes`` may hold logins, which go to their own hosts alone; a user without a password is
    looked for in keyring, where uv may ask it too.
    """

    def __init__(self, indexes: Iterable[str], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._of_hosts: dict[str, Login] = {}
        for url in indexes:
            if login := address.login(url):
                self._of_hosts.setdefault(address.host(url), self._whole(url, login))
        self._netrc = _netrc(environ)

    def find(self, url: str) -> httpx.Auth:
        """For ``url``, by what it has itself, else by its host."""
        login = address.login(url) or self._of_hosts.get(address.host(url))
        if login is None and self._netrc:
            name = httpx.URL(address.bare(url)).host
            if kept := self._netrc.authenticators(name):
                login = kept[0], kept[2]
        return httpx.BasicAuth(*login) if login else httpx.Auth()

    def _whole(self, url: str, login: Login) -> Login:
        user, password = login
        if user and not password and self._environ.get("UV_KEYRING_PROVIDER") == "subprocess":
            for service in (address.bare(url), address.host(url)):
                # Without keyring there is no password, as for uv.
                with contextlib.suppress(BoxshipError):
                    argv = ["keyring", "get", service, user]
                    done = process.run(argv, environ=self._environ)
                    if done.code == 0 and done.stdout.strip():
                        return user, done.stdout.strip()
        return login


def _netrc(environ: Mapping[str, str]) -> netrc.netrc | None:
    """What is read there; one that cannot be read is as good as none, as for uv."""
    file = Path(environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc.netrc(str(file))
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return None
