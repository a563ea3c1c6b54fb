"""Systems take turns, each gets as many orders as the others, and a burst comes from one tenant."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from bench import neighbours
from bench.loads import Load, measure
from bench.neighbours import Plan
from bench.systems import Order, Sent, pickups_ms
from pushlane.local.isolation import BURSTING, EVENLY, QUIET
from pushlane.local.pickup import NotPickedUp


class Instant:
    """Picks every order up so many milliseconds after it was sent; `journal` is shared by all of them."""

    def __init__(self, name: str, pickup_ms: int, journal: list[str]) -> None:
        self.name = name
        self.orders: list[Order] = []
        self._pickup_ms = pickup_ms
        self._journal = journal
        self._ran: dict[str, int] = {}

    def send(self, orders: Sequence[Order]) -> list[Sent]:
        now_ms = time.time_ns() // 1_000_000
        sent = [Sent(f"{self.name}-{len(self.orders) + n}", order, now_ms) for n, order in enumerate(orders)]
        self.orders += orders
        self._ran |= {one.sample: now_ms + self._pickup_ms for one in sent}
        return sent

    def ran_at_ms(self, samples: Sequence[str]) -> Mapping[str, int]:
        return {sample: self._ran[sample] for sample in samples}

    @contextmanager
    def awake(self) -> Iterator[None]:
        self._journal.append(self.name)
        yield


def test_every_system_gets_the_load_and_each_round_begins_with_another_one() -> None:
    journal: list[str] = []
    one, two, three = (Instant(name, ms, journal) for name, ms in (("one", 5), ("two", 7), ("three", 9)))
    load = Load(name="low", count=8, rounds=2, per_second=400.0)
    found = measure(load, [[one], [two, three]], lambda _line: None)
    assert found == {"one": [5] * 8, "two": [7] * 8, "three": [9] * 8}
    assert journal == ["one", "two", "three", "two", "three", "one"]


def test_orders_that_never_run_are_an_error_that_names_the_system() -> None:
    class Deaf(Instant):
        def ran_at_ms(self, samples: Sequence[str]) -> Mapping[str, int]:
            return {}

    deaf = Deaf("deaf", 0, [])
    with pytest.raises(NotPickedUp, match="deaf: 1 of 1 orders"):
        pickups_ms(deaf, deaf.send([Order("atlas")]), 0)


def test_extra_orders_come_from_one_tenant_or_from_twenty_and_quiet_ones_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbours, "_PACE_SECONDS", 0.001)
    system = Instant("pushlane", 6, [])
    found = neighbours.measure(Plan(extra=40, window_seconds=0.01, rounds=1), [system], lambda _line: None)
    control, burst = system.orders[:50], system.orders[50:]
    assert [order.tenant_id for order in control[:40]] == [*EVENLY, *EVENLY]
    assert {order.tenant_id for order in burst[:40]} == {BURSTING}
    assert {order.tenant_id for order in control[40:] + burst[40:]} == set(QUIET)
    assert {order.work_seconds for order in system.orders} == {neighbours.WORK_SECONDS}
    assert found["pushlane"].burst_over_control_p99 == 1.0
    assert found["pushlane"].burst.samples == 10
