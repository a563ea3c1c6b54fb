"""Dead-letter queues on moto's SQS: looking loses nothing, a redrive that dies duplicates at most."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from pushlane.client.dead_messages import QueueUnknown
from pushlane.client.pace import InvalidPace, Pace
from pushlane.model.events import HeldRecord
from pushlane.model.ids import intake_queue_of, intake_slot
from tests.unit.client.dead_queues import Dies, Dying, Queues, queues

pytestmark = pytest.mark.xdist_group("moto")


@pytest.fixture
def world() -> Iterator[Queues]:
    with queues() as made:
        yield made


def quiet(_count: int) -> None: ...


def submission(tenant_id: str = "atlas", **data: Any) -> dict[str, Any]:
    said = {"tenant_id": tenant_id, "task_type": "extract", **data}
    return {"metadata": {"name": "SubmitTask", "version": 1}, "data": said}


def held(body: str) -> tuple[str, str, Any]:
    record = msgspec.json.decode(body, type=HeldRecord)
    return record.door.value, record.source_id, json.loads(bytes(record.body))


def test_queues_are_listed_with_counts_and_age(world: Queues) -> None:
    world.put("dead-results", "a", "b")
    first, *others = world.dead_messages().queues()
    assert (first.name, first.waiting) == ("results", 2)
    assert first.oldest_ms is not None
    assert first.oldest_ms > 1_700_000_000_000
    assert all(one.waiting == 0 and one.oldest_ms is None for one in others)


def test_a_look_shows_messages_and_leaves_them(world: Queues) -> None:
    bodies = [f"message {number:02d}" for number in range(25)]
    world.put("dead-results", *bodies)
    seen = world.dead_messages().peek("results", 20)
    assert len(seen) == 20
    assert len({one.message_id for one in seen}) == 20
    assert world.bodies("dead-results") == bodies


def test_messages_go_back_to_the_queue_that_they_came_from(world: Queues) -> None:
    world.put("dead-results", *(f"{number}" for number in range(12)))
    counts: list[int] = []
    moved = world.dead_messages().redrive("results", None, world.pace(), counts.append)
    assert (moved.moved, moved.kept, moved.left) == (12, (), 0)
    assert counts == list(range(1, 13))
    assert len(world.bodies("results")) == 12
    assert world.bodies("dead-results") == []


def test_not_more_are_moved_than_asked_for(world: Queues) -> None:
    world.put("dead-results", *(f"{number}" for number in range(12)))
    moved = world.dead_messages().redrive("results", 5, world.pace(), quiet)
    assert (moved.moved, moved.left) == (5, 7)
    assert len(world.bodies("results")) == 5
    assert len(world.bodies("dead-results")) == 7


def test_the_rate_is_capped(world: Queues) -> None:
    world.put("dead-results", *(f"{number}" for number in range(21)))
    world.dead_messages().redrive("results", None, world.pace(per_second=4), quiet)
    assert sum(world.paused) == pytest.approx(20 / 4)


@pytest.mark.parametrize("per_second", [0, -1, float("nan")])
def test_a_rate_has_to_be_positive(per_second: float) -> None:
    with pytest.raises(InvalidPace, match="above 0"):
        Pace(per_second)


def test_a_redrive_that_dies_before_it_deletes_duplicates_and_loses_nothing(world: Queues) -> None:
    bodies = [f"{number}" for number in range(6)]
    world.put("dead-results", *bodies)
    dying = world.dead_messages(Dying(world.sqs, "delete_message", 3))
    with pytest.raises(Dies):
        dying.redrive("results", None, world.pace(), quiet)
    moved = world.dead_messages().redrive("results", None, world.pace(), quiet)
    assert moved.left == 0
    arrived = world.bodies("results")
    assert sorted(set(arrived)) == bodies
    assert len(arrived) == 7  # the third was sent twice
    assert world.bodies("dead-results") == []


def test_a_redrive_that_dies_when_it_sends_loses_nothing(world: Queues) -> None:
    bodies = [f"{number}" for number in range(6)]
    world.put("dead-results", *bodies)
    with pytest.raises(Dies):
        world.dead_messages(Dying(world.sqs, "send_message_batch", 3)).redrive("results", None, world.pace(), quiet)
    assert sorted([*world.bodies("results"), *world.bodies("dead-results")]) == bodies


def test_a_fifo_queue_takes_a_redriven_message_again_and_a_repeat_of_the_redrive_once(world: Queues) -> None:
    sent = {"MessageGroupId": "task", "MessageDeduplicationId": "event-1"}
    world.put("events", "event", **sent)
    assert world.bodies("events") == ["event"]
    world.put("dead-events", "event", **sent)
    with pytest.raises(Dies):
        world.dead_messages(Dying(world.sqs, "delete_message", 1)).redrive("events", None, world.pace(), quiet)
    world.dead_messages().redrive("events", None, world.pace(), quiet)
    assert world.bodies("events") == ["event"]
    assert world.bodies("dead-events") == []


def test_what_was_sent_straight_to_intake_stays_the_same_submission(world: Queues) -> None:
    """A new message would have a new id, and a submission without a key is known by that."""
    (message_id,) = world.put("dead-intake", json.dumps(submission()))
    world.dead_messages().redrive("intake", None, world.pace(), quiet)
    (body,) = world.bodies("held")
    assert held(body) == ("sqs", message_id, submission())


@pytest.mark.parametrize("tenant_id", ["atlas", "birch", "cedar", "noisy"])
def test_events_and_notifications_go_back_as_they_are_to_their_tenants_queue(world: Queues, tenant_id: str) -> None:
    event = json.dumps({"id": "e-1", "detail-type": "SubmitTask", "detail": submission(tenant_id)})
    notification = json.dumps(
        {"Type": "Notification", "MessageId": "n-1", "Message": json.dumps(submission(tenant_id))}
    )
    world.put("dead-intake", event, notification)
    world.dead_messages().redrive("intake", None, world.pace(), quiet)
    own = f"intake-{intake_queue_of(intake_slot(tenant_id), 2)}"
    assert world.bodies(own) == sorted([event, notification])
    assert world.bodies("held") == []


def test_what_is_no_json_goes_to_intake_which_refuses_it_with_a_reason(world: Queues) -> None:
    world.put("dead-intake", "no json")
    world.dead_messages().redrive("intake", None, world.pace(), quiet)
    assert world.bodies("intake-0") == ["no json"]


def refused(body: str, **changes: Any) -> str:
    kept = {
        "door": "sns",
        "source_id": "n-1",
        "tenant_id": "atlas",
        "code": "unknown_tenant",
        "field": "$.data.tenant_id",
    }
    return json.dumps({**kept, "reason": "no tenant", "body": body, "body_bytes": len(body.encode()), **changes})


def test_what_was_refused_at_a_tenants_own_door_stays_the_tenants(world: Queues) -> None:
    kept = json.loads(refused(json.dumps(submission())))
    world.put("dead-quarantine", json.dumps(kept | {"bound_tenant": "atlas"}))
    world.dead_messages().redrive("quarantine", None, world.pace(), quiet)
    [body] = world.bodies("held")
    assert msgspec.json.decode(body, type=HeldRecord).bound_tenant == "atlas"


def test_a_refused_submission_goes_in_again_with_the_identity_of_its_door(world: Queues) -> None:
    world.put("dead-quarantine", refused(json.dumps(submission())))
    world.dead_messages().redrive("quarantine", None, world.pace(), quiet)
    (body,) = world.bodies("held")
    assert held(body) == ("sns", "n-1", submission())


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (refused(json.dumps(submission()), body_bytes=200_000), "only a part"),
        (refused("no json"), "no JSON object"),
        (refused('{"metadata": {"name": "SetPolicy"}}'), "pushlane policy set"),
        ('{"stream_record": {}}', "could not be read"),
    ],
)
def test_what_can_never_be_accepted_stays_with_the_reason(world: Queues, message: str, words: str) -> None:
    world.put("dead-quarantine", message)
    moved = world.dead_messages().redrive("quarantine", None, world.pace(), quiet)
    assert (moved.moved, moved.left) == (0, 1)
    assert words in moved.kept[0].reason
    assert world.bodies("dead-quarantine") == [message]


def test_a_piece_of_the_stream_is_read_again_and_its_records_keep_their_identity(world: Queues) -> None:
    numbers = [
        world.kinesis.put_record(StreamName="stream", Data=json.dumps(submission(n=place)), PartitionKey="atlas")
        for place in range(5)
    ]
    shard = numbers[0]["ShardId"]
    batch = {
        "shardId": shard,
        "startSequenceNumber": numbers[1]["SequenceNumber"],
        "endSequenceNumber": numbers[3]["SequenceNumber"],
        "batchSize": 3,
    }
    world.put("dead-stream", json.dumps({"version": "1.0", "KinesisBatchInfo": batch}))
    moved = world.dead_messages().redrive("stream", None, world.pace(), quiet)
    assert moved.moved == 1
    found = sorted((held(body) for body in world.bodies("held")), key=lambda one: one[1])
    assert found == [
        ("kinesis", f"{shard}:{numbers[place]['SequenceNumber']}", submission(n=place)) for place in (1, 2, 3)
    ]


def test_a_piece_that_the_stream_no_longer_has_stays(world: Queues) -> None:
    batch = {"shardId": "shardId-000000000009", "startSequenceNumber": "1", "endSequenceNumber": "2"}
    world.put("dead-stream", json.dumps({"KinesisBatchInfo": batch}))
    moved = world.dead_messages().redrive("stream", None, world.pace(), quiet)
    assert "no longer has" in moved.kept[0].reason


def test_failed_calls_have_nowhere_to_go_and_say_so(world: Queues) -> None:
    world.put("dead-sweep", "{}")
    moved = world.dead_messages().redrive("sweep", None, world.pace(), quiet)
    assert "sweep runs again" in moved.kept[0].reason
    assert world.bodies("dead-sweep") == ["{}"]


def test_what_is_discarded_is_gone(world: Queues) -> None:
    world.put("dead-sweep", "{}", "{}")
    moved = world.dead_messages().discard("sweep", None, world.pace(), quiet)
    assert (moved.moved, moved.left) == (2, 0)
    assert world.bodies("dead-sweep") == []


def test_an_unknown_queue_is_answered_with_the_names_that_there_are(world: Queues) -> None:
    with pytest.raises(QueueUnknown, match="intake, quarantine, results"):
        world.dead_messages().place("outtake")
