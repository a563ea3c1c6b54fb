"""The store's clock on an emulator that sends `Date` headers."""

import time

import pytest

from pushlane.aws.clock import StoreClock, wall_ms
from tests.conformance.backends import MINISTACK, Backend


@pytest.mark.parametrize("backend", [MINISTACK], indirect=True)
def test_a_wrong_local_clock_is_corrected_by_one_call_of_the_store(backend: Backend) -> None:
    client = backend.client("dynamodb")
    clock = StoreClock(wall=lambda: wall_ms() + 3_600_000)
    clock.listen(client)
    assert clock.now_ms() - wall_ms() > 3_500_000
    sent = time.monotonic()
    client.list_tables()
    width_ms = 1_000 + (time.monotonic() - sent) * 1_000
    assert abs(clock.now_ms() - wall_ms()) <= width_ms + 50
