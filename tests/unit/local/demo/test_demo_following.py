"""Sending waves, following tasks, reading facts, writing the page."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pushlane.client import Batch, Client, Refused, TaskRecord
from pushlane.local.demo import following
from pushlane.local.demo.facts import TerminalFacts
from pushlane.local.demo.following import follow
from pushlane.local.demo.ledger import Ledger, send, waves
from pushlane.local.demo.pages import DigestIncomplete, page_order, relinked, write_page
from pushlane.model.events import Fact, FactData, FactMetadata, FactName, SubmitData
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import Door, Status
from tests.unit.local.demo.worlds import documents, ledger_of, observed_of, planned, record, sent


class FakeClient:
    """Takes what its open doors get, and plays back a script of reads."""

    def __init__(self, *, shut: Door | None = None, reads: Sequence[dict[str, TaskRecord]] = ()) -> None:
        self.sent: list[tuple[Door, str]] = []
        self.results: dict[str, dict[str, Any]] = {}
        self._shut = shut
        self._reads: Iterator[dict[str, TaskRecord]] = iter(reads)
        self._last: dict[str, TaskRecord] = {}

    def submit_many(self, items: Sequence[SubmitData], *, door: Door) -> Batch:
        ids = [keyed_task_id(one.tenant_id, one.idempotency_key or "") for one in items]
        if door is self._shut:
            refused = [Refused(index=n, task_id=i, idempotency_key="k", reason="shut") for n, i in enumerate(ids)]
            return Batch(accepted=(), refused=tuple(refused))
        self.sent += [(door, task_id) for task_id in ids]
        by_id = {order.task_id: order for order in planned()}
        return Batch(accepted=tuple(sent(by_id[i], door) for i in ids), refused=())

    def tasks(self, task_ids: Collection[str]) -> dict[str, TaskRecord]:
        self._last = next(self._reads, self._last)
        return {i: one for i, one in self._last.items() if i in task_ids}

    def result(self, one: TaskRecord) -> dict[str, Any]:
        return self.results[one.task_id]


def as_client(fake: FakeClient) -> Client:
    return cast(Client, fake)


def empty_ledger() -> Ledger:
    return Ledger(orders={}, submitted={}, repeated={}, refused={})


def test_every_order_goes_through_its_doors() -> None:
    fake, ledger, plan = FakeClient(), empty_ledger(), planned()
    for wave in waves(plan):
        send(as_client(fake), wave, ledger)
    expected = [(order.door, order.task_id) for order in plan]
    expected += [(order.again, order.task_id) for order in plan if order.again]
    assert sorted(fake.sent) == sorted(expected)
    assert ledger.submitted.keys() == {order.task_id for order in plan}
    assert sum(ledger.doors.values()) == len(expected)


def test_what_a_door_refuses_is_not_counted_as_submitted() -> None:
    ledger, plan = empty_ledger(), planned()
    send(as_client(FakeClient(shut=Door.SNS)), plan, ledger)
    shut = {order.task_id for order in plan if order.door is Door.SNS}
    assert shut <= ledger.refused.keys()
    assert not shut & ledger.submitted.keys()
    assert not shut & ledger.repeated.keys()


class ScriptedEnds:
    """Facts that arrive one step after the other."""

    def __init__(self, *steps: dict[str, Status]) -> None:
        self._steps = iter(steps)
        self._seen: dict[str, Status] = {}

    def drain(self) -> dict[str, Status]:
        self._seen |= next(self._steps, {})
        return self._seen


def followed(fake: FakeClient, expected: dict[str, str], ends: ScriptedEnds) -> tuple[dict[str, TaskRecord], list[Any]]:
    shown: list[Any] = []
    times = iter(range(10_000))
    records = follow(
        as_client(fake), ends, expected, news=shown.append, pause=lambda _seconds: None, monotonic=lambda: next(times)
    )
    return records, shown


def test_following_ends_when_every_end_was_published() -> None:
    done = {"a": record("a", "x"), "b": record("b", "y", Status.FAILED)}
    ends = ScriptedEnds({}, {"a": Status.SUCCEEDED}, {"b": Status.FAILED})
    records, shown = followed(FakeClient(reads=[done]), {"a": "x", "b": "y"}, ends)
    assert records == done
    assert shown == [
        {"x": {"SENT": 1}, "y": {"SENT": 1}},
        {"x": {"SUCCEEDED": 1}, "y": {"SENT": 1}},
        {"x": {"SUCCEEDED": 1}, "y": {"FAILED": 1}},
    ]


def test_an_end_whose_fact_is_lost_is_found_in_the_table() -> None:
    records, shown = followed(FakeClient(reads=[{"a": record("a", "x")}]), {"a": "x"}, ScriptedEnds())
    assert records["a"].status is Status.SUCCEEDED
    assert shown[-1] == {"x": {"SUCCEEDED": 1}}
    assert len(shown) <= following.LOOK_SECONDS + 1


def test_following_gives_up_when_nothing_moves() -> None:
    fake = FakeClient(reads=[{"a": record("a", "x", Status.PARKED)}])
    records, shown = followed(fake, {"a": "x", "b": "y"}, ScriptedEnds())
    assert records["a"].status is Status.PARKED
    assert len(shown) <= following.STALL_SECONDS + following.LOOK_SECONDS + 1


def fact(task_id: str, name: FactName, fact_id: str) -> Fact:
    return Fact(metadata=FactMetadata(name=name, fact_id=fact_id, occurred_at_ms=1), data=FactData(task_id=task_id))


def test_a_redelivered_fact_is_one_effect_and_another_fact_is_a_second() -> None:
    seen = TerminalFacts()
    for task_id, name, fact_id in [
        ("a", FactName.TASK_STARTED, "f0"),
        ("a", FactName.TASK_SUCCEEDED, "f1"),
        ("a", FactName.TASK_SUCCEEDED, "f1"),
        ("b", FactName.TASK_SUCCEEDED, "f2"),
        ("b", FactName.TASK_FAILED, "f3"),
    ]:
        seen.add(fact(task_id, name, fact_id))
    assert seen.duplicates() == {"b"}
    assert seen.missing(["a", "b", "c"]) == {"c"}


def test_the_page_is_made_of_all_sections_in_document_order() -> None:
    ledger = ledger_of(planned())
    records = dict(observed_of(ledger).records)
    fake = FakeClient()
    fake.results = {i: {"section": {"name": i, "title": "T", "markdown": "m"}} for i in records}
    order = page_order(as_client(fake), "atlas", ledger, records, "run")
    own = [o for o in ledger.orders.values() if o.data.tenant_id == "atlas" and o.chained_ids]
    assert [section["name"] for section in order.data.payload["sections"]] == [o.chained_ids[1] for o in own]


def test_no_section_at_all_is_an_error() -> None:
    with pytest.raises(DigestIncomplete, match="atlas"):
        page_order(as_client(FakeClient()), "atlas", ledger_of(planned()), {}, "run")


def test_links_lead_from_the_digest_to_the_files() -> None:
    page = "[a](docs/0.md), [L3](docs/0.md#L3) and [other](docs/0.md.html)"
    assert relinked(page, documents(1), Path("/project/build/demo")) == (
        "[a](../../docs/0.md), [L3](../../docs/0.md#L3) and [other](docs/0.md.html)"
    )


def test_names_with_spaces_are_linked_too() -> None:
    (document,) = documents(1)
    odd = msgspec.structs.replace(document, name="my notes.md", path=Path("/project/my notes.md"))
    assert relinked("[a](my%20notes.md)", [odd], Path("/project/build")) == "[a](../my%20notes.md)"


def test_a_page_that_lacks_a_document_is_not_written(tmp_path: Path) -> None:
    fake, done = FakeClient(), record("t", "atlas")
    fake.results["t"] = {"markdown": "[a](docs/0.md)"}
    with pytest.raises(DigestIncomplete, match=r"docs/1\.md"):
        write_page(as_client(fake), done, documents(2), tmp_path / "digest.md")
    assert not (tmp_path / "digest.md").exists()
    write_page(as_client(fake), done, documents(1), tmp_path / "out" / "digest.md")
    assert (tmp_path / "out" / "digest.md").exists()
