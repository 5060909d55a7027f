"""What every container promises, where it is more than a constant."""

import pytest

from boxship import contract


@pytest.mark.parametrize(
    ("drain_delay_s", "request_timeout_s", "grace_s"), [(5, 30, 40), (0, 0.5, 6), (1.2, 2.2, 9)]
)
def test_the_grace_period_holds_a_whole_drain(
    drain_delay_s: float, request_timeout_s: float, grace_s: int
) -> None:
    """Kubernetes takes whole seconds: rounded up, never down."""
    assert contract.termination_grace_s(drain_delay_s, request_timeout_s) == grace_s


def test_kept_connections_outlive_the_load_balancers() -> None:
    """A load balancer that closes first never sends into a closed connection."""
    assert contract.KEEP_ALIVE_S > 60
