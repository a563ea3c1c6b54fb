"""Every record is accounted for, whatever the door does."""

from collections.abc import Sequence

from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from pushlane.aws.backoff import Backoff
from pushlane.aws.batches import Limits
from pushlane.client.delivery import Delivery, deliver
from pushlane.client.doors import Miss, Record

SENDS_MAX = 4
THREE = Limits(entries=3, size_bytes=10_000)
NO_WAIT = Backoff(sends_max=SENDS_MAX, sleep=lambda _seconds: None)


class ScriptedDoor:
    """Takes record `index` at its try number `takes[index]` (never, if that is None)."""

    def __init__(self, takes: Sequence[int | None], limits: Limits = THREE) -> None:
        self.limits = limits
        self.requests: list[list[int]] = []
        self._takes = takes
        self._tries = [0] * len(takes)

    def route(self, record: Record) -> str:
        return record.tenant_id

    def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
        assert {record.tenant_id for record in batch} == {route}
        self.requests.append([record.index for record in batch])
        misses = []
        for record in batch:
            self._tries[record.index] += 1
            takes = self._takes[record.index]
            if takes is None or self._tries[record.index] < takes:
                misses.append(Miss(index=record.index, reason="busy"))
        return misses


def records(count: int, body: str = "{}") -> list[Record]:
    return [Record(index=index, tenant_id=f"t{index % 2}", body=body) for index in range(count)]


def delivered(door: ScriptedDoor, count: int, body: str = "{}") -> Delivery:
    return deliver(door, records(count, body), now_ms=lambda: 42, backoff=NO_WAIT)


def test_records_travel_in_batches_of_one_route() -> None:
    door = ScriptedDoor([1] * 10)
    assert delivered(door, 10).returned_at_ms == dict.fromkeys(range(10), 42)
    assert door.requests == [[0, 2, 4], [6, 8], [1, 3, 5], [7, 9]]


def test_batches_respect_the_size_limit() -> None:
    door = ScriptedDoor([1] * 4, Limits(entries=10, size_bytes=3_000))
    delivered(door, 4, "x" * 2_000)
    assert all(len(request) == 1 for request in door.requests)


def test_only_failed_entries_are_sent_again() -> None:
    door = ScriptedDoor([1, 1, 2, 1])
    assert delivered(door, 4).refused == {}
    assert door.requests == [[0, 2], [1, 3], [2]]


def test_an_entry_that_never_passes_is_refused_after_a_bounded_number_of_tries() -> None:
    door = ScriptedDoor([None])
    assert delivered(door, 1) == Delivery(returned_at_ms={}, refused={0: "busy"})
    assert len(door.requests) == SENDS_MAX


@given(st.lists(st.one_of(st.none(), st.integers(1, SENDS_MAX + 2)), max_size=20))
def test_each_record_is_either_taken_or_refused(takes: list[int | None]) -> None:
    done = delivered(ScriptedDoor(takes), len(takes))
    expected = {index for index, tries in enumerate(takes) if tries is not None and tries <= SENDS_MAX}
    assert done.returned_at_ms.keys() == expected
    assert done.refused.keys() == set(range(len(takes))) - expected


def test_a_failed_request_refuses_what_it_carried_and_the_rest_goes_on() -> None:
    class HalfDown(ScriptedDoor):
        def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
            if route == "t1":
                raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
            return super().send(route, batch)

    done = deliver(HalfDown([1] * 4), records(4), now_ms=lambda: 1, backoff=NO_WAIT)
    assert done.returned_at_ms.keys() == {0, 2}
    assert done.refused.keys() == {1, 3}
    assert "EndpointConnectionError" in done.refused[1]


def test_the_services_own_code_is_told() -> None:
    class Denied(ScriptedDoor):
        def send(self, route: str, batch: Sequence[Record]) -> list[Miss]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessageBatch")

    refused = deliver(Denied([1]), records(1), now_ms=lambda: 1, backoff=NO_WAIT).refused
    assert refused[0].startswith("AccessDenied")
