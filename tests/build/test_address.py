"""What lets one in is taken off an address, wherever it stands in it."""

import pytest

from boxship.build import address


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://h.test/simple/", "https://h.test/simple/"),
        ("https://bob:pass@h.test:8080/simple", "https://h.test:8080/simple"),
        ("https://bob:p@ss@h.test/simple", "https://h.test/simple"),
        ("https://bob:p?s#s@h.test/simple", "https://h.test/simple"),
        ("https://${USER}:${PASS}@h.test/simple", "https://h.test/simple"),
        ("https://h.test/a@b/c.whl?sig=TOKEN#sha256=00", "https://h.test/a@b/c.whl"),
        ("ssh://git@h.test/a/b.git", "ssh://h.test/a/b.git"),
        ("git@h.test:a/b.git", "git@h.test:a/b.git"),
    ],
)
def test_an_address_that_may_be_written_down(url: str, bare: str) -> None:
    assert address.bare(url) == bare
    assert url.startswith("git@") or address.shown(f"in `{url}`, (at)") == f"in `{bare}`, (at)"


def test_a_login_is_read_as_it_was_put_in() -> None:
    url = address.with_login("https://old@h.test/simple", "bob", "p@ss/word")
    assert url == "https://bob:p%40ss%2Fword@h.test/simple"
    assert address.login(url) == ("bob", "p@ss/word")
    assert address.host(url) == "h.test"
    assert address.login("https://h.test/a@b") is None
