import re
from pathlib import Path

import environments
import pytest
from lineup import PEERS_IN_ORDER
from places import PEERS

LOCKS = [PEERS / name / "requirements.lock" for name in environments.NAMES]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.parent.name))
def test_every_package_is_pinned_with_hashes_and_no_lock_names_an_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert packages
    for package in packages:
        assert "==" in package.splitlines()[0]
        assert "--hash=sha256:" in package


def test_all_that_load_the_pickle_have_the_scikit_learn_that_wrote_it() -> None:
    pinned = {
        lock.parent.name: re.findall(r"^scikit-learn==(\S+)", lock.read_text(), re.MULTILINE)
        for lock in LOCKS
    }
    served = {peer.environment for peer in PEERS_IN_ORDER if peer.suffix == ".pkl"}
    assert {name: pinned[str(name)] for name in served} == dict.fromkeys(served, pinned["models"])
