"""Probes: what they write down of a loop, that they never break it, and what the figures make of it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pushlane.migrate.celery import watch
from pushlane.migrate.figures import figures_of, percentiles
from pushlane.migrate.instrument import JsonLines, Probe
from pushlane.migrate.records import Ended, Picked, Polled, Record, UnreadableRecord, line_of, records_of
from pushlane.migrate.sqs import watched
from tests.unit.migrate.celery_double import FakeSignals

AT = 1_700_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = AT

    def __call__(self) -> int:
        return self.now_ms


class Kept(list[Record]):
    def keep(self, record: Record) -> None:
        self.append(record)


class Broken:
    def keep(self, record: Record) -> None:
        raise OSError("no space left on device")


def a_probe() -> tuple[Probe, Kept, Clock]:
    kept, clock = Kept(), Clock()
    return Probe(kept, poller="one", now_ms=clock), kept, clock


def test_a_loop_is_written_down_poll_by_poll_and_task_by_task() -> None:
    probe, kept, clock = a_probe()
    with probe.poll() as poll:
        poll.found(1)
    with probe.task("a", "atlas", enqueued_at_ms=AT - 500, deadline_ms=AT + 100, task_type="resize"):
        clock.now_ms += 40
    assert kept == [
        Polled(at_ms=AT, poller="one", found=1),
        Picked(
            task_id="a",
            tenant_id="atlas",
            at_ms=AT,
            poller="one",
            enqueued_at_ms=AT - 500,
            deadline_ms=AT + 100,
            task_type="resize",
        ),
        Ended(task_id="a", tenant_id="atlas", at_ms=AT + 40),
    ]


def test_errors_of_the_loop_pass_through_and_are_told() -> None:
    probe, kept, _ = a_probe()
    with pytest.raises(RuntimeError), probe.poll():
        raise RuntimeError("the database is away")
    with pytest.raises(ValueError), probe.task("a", "atlas"):  # noqa: PT011 - the very error that is raised here
        raise ValueError
    assert kept[0] == Polled(at_ms=AT, poller="one", found=0)
    assert kept[-1] == Ended(task_id="a", tenant_id="atlas", at_ms=AT, succeeded=False)


def test_a_function_that_fetches_is_watched_and_stays_what_it_was() -> None:
    probe, kept, _ = a_probe()

    @probe.polling
    def fetch(count: int) -> list[int]:
        """Some numbers."""
        return list(range(count))

    assert (fetch(3), fetch(0), fetch.__doc__) == ([0, 1, 2], [], "Some numbers.")
    assert [one.found for one in kept if isinstance(one, Polled)] == [3, 0]


def test_a_sink_that_fails_stops_nothing_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    probe = Probe(Broken(), kept, poller="one")
    with caplog.at_level(logging.WARNING):
        probe.polled(0)
        probe.polled(0)
    assert (len(kept), probe.lost) == (2, 2)
    assert [record.getMessage() for record in caplog.records] == [
        "records of the polling fleet are lost: OSError: no space left on device"
    ]


def test_lines_of_a_file_are_read_back_without_the_one_that_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    probe = Probe(JsonLines(path), JsonLines(path), poller="one")
    probe.polled(2)
    probe.picked("a", "atlas")
    whole = path.read_bytes()
    assert len(list(records_of(whole.splitlines()))) == 4
    assert len(list(records_of([*whole.splitlines(), b'{"kind": "pol']))) == 4
    with pytest.raises(UnreadableRecord, match="fleet, line 1: "):
        list(records_of([b'{"kind": "pol', *whole.splitlines()], "fleet"))


class OneMessage:
    """An SQS client that has a message, and one more call."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def receive_message(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        message = {
            "MessageId": "m",
            "ReceiptHandle": "r",
            "Body": "atlas",
            "Attributes": {"SentTimestamp": str(AT - 9)},
        }
        return {"Messages": [message]}

    def delete_message(self, **request: Any) -> None:
        self.asked.append(request)

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        return {"Failed": [{"Id": "1"}]}

    def get_queue_url(self) -> str:
        return "the client's own"


def test_an_sqs_consumer_keeps_its_loop() -> None:
    probe, kept, clock = a_probe()
    client = OneMessage()
    sqs = watched(client, probe, tenant_of=lambda message: str(message["Body"]))
    [message] = sqs.receive_message(QueueUrl="q", AttributeNames=["ApproximateReceiveCount"])["Messages"]
    clock.now_ms += 70
    sqs.delete_message(QueueUrl="q", ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl="q", ReceiptHandle="of somebody else")
    assert client.asked[0]["AttributeNames"] == ["ApproximateReceiveCount", "SentTimestamp"]
    assert sqs.get_queue_url() == "the client's own"
    assert kept[1:] == [
        Picked(task_id="m", tenant_id="atlas", at_ms=AT, poller="one", enqueued_at_ms=AT - 9),
        Ended(task_id="m", tenant_id="atlas", at_ms=AT + 70),
    ]


def test_of_a_batch_what_was_not_deleted_has_not_ended() -> None:
    probe, kept, _ = a_probe()
    sqs = watched(OneMessage(), probe, tenant_of=lambda message: "atlas")
    sqs.receive_message(QueueUrl="q", MessageSystemAttributeNames=["All"])
    sqs.delete_message_batch(QueueUrl="q", Entries=[{"Id": "1", "ReceiptHandle": "r"}])
    assert not any(isinstance(one, Ended) for one in kept)
    sqs.delete_message_batch(QueueUrl="q", Entries=[{"Id": "2", "ReceiptHandle": "r"}])
    assert isinstance(kept[-1], Ended)


def test_a_message_without_a_tenant_is_still_received() -> None:
    probe, kept, _ = a_probe()
    sqs = watched(OneMessage(), probe, tenant_of=lambda message: str(message["Tenant"]))
    assert sqs.receive_message(QueueUrl="q")["Messages"]
    assert (len(kept), probe.lost) == (1, 1)


@pytest.mark.parametrize("on_request", [True, False])
def test_a_celery_worker_is_watched_by_its_signals(*, on_request: bool) -> None:
    probe, kept, _ = a_probe()
    signals = FakeSignals()
    watch(signals, probe, tenant_of=lambda task: task.request.kwargs["tenant"], deadline_ms_of=lambda task: AT + 5)
    signals.run("c-1", tenant="atlas", on_request=on_request)
    signals.run("c-2", tenant="atlas", state="FAILURE")
    signals.run("c-3", tenant="atlas", state="RETRY")
    signals.run("c-4")  # of no tenant that we can tell
    assert kept[0] == Picked(
        task_id="c-1",
        tenant_id="atlas",
        at_ms=AT,
        poller="one",
        enqueued_at_ms=AT,
        deadline_ms=AT + 5,
        task_type="jobs.resize",
    )
    ends = [(one.task_id, one.succeeded) for one in kept if isinstance(one, Ended)]
    assert ends == [("c-1", True), ("c-2", False)]


def picked(task_id: str, wait_ms: int, deadline_ms: int | None = None) -> Picked:
    return Picked(
        task_id=task_id,
        tenant_id="atlas",
        at_ms=AT + wait_ms,
        poller=f"p-{wait_ms % 2}",
        enqueued_at_ms=AT,
        deadline_ms=deadline_ms,
    )


def test_figures_by_tenant_are_exact() -> None:
    records: list[Record] = [Polled(at_ms=AT, poller="p-0", found=0)] * 30
    records += [picked(f"t-{n}", n * 10, AT + 500) for n in range(1, 101)]
    records += [
        Ended(task_id=f"t-{n}", tenant_id="atlas", at_ms=AT + n * 10 + 7, succeeded=n > 2) for n in range(1, 91)
    ]
    records += [Polled(at_ms=AT + 3_600_000, poller="p-1", found=3)]
    figures = figures_of(records)
    [atlas] = figures.tenants
    assert (atlas.tasks, atlas.failed, atlas.unfinished) == (100, 2, 10)
    assert (atlas.pickup.p50_ms, atlas.pickup.p95_ms, atlas.pickup.p99_ms, atlas.pickup.max_ms) == (
        500,
        950,
        990,
        1_000,
    )
    assert atlas.run.p50_ms == 7
    assert (atlas.deadlines_met, atlas.deadlines_missed) == (49, 51)
    assert (figures.polls.polls, figures.polls.empty, figures.polls.pollers) == (31, 30, 2)
    assert figures.polls.empty_per_hour == 30.0


def test_figures_do_not_depend_on_the_order_of_the_records() -> None:
    records: list[Record] = [picked("a", 30), picked("a", 10), Ended(task_id="a", tenant_id="atlas", at_ms=AT + 60)]
    assert figures_of(records) == figures_of(records[::-1])
    assert figures_of(records).tenants[0].run.p50_ms == 50


def test_nothing_seen_is_nothing_said() -> None:
    assert figures_of([]).tenants == ()
    assert percentiles([]).count == 0


@pytest.mark.parametrize("make", [lambda: picked("a", 1), lambda: Polled(at_ms=AT, poller="p", found=0)])
def test_a_record_is_one_line(make: Callable[[], Record]) -> None:
    line = line_of(make())
    assert line.count(b"\n") == 1
    assert list(records_of([line])) == [make()]
