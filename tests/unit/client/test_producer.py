"""The client against the real router, agents and lifecycle in memory."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.aws.backoff import Backoff
from pushlane.client import Client, InvalidSubmission, ResultUnavailable, StillRunning, SubmissionRefused, TaskUnknown
from pushlane.model.claim_check import INLINE_BYTES_MAX, as_claim_check
from pushlane.model.task import Door, Status
from pushlane.ports import Message
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of

BIG = {"text": "x" * (INLINE_BYTES_MAX + 1)}


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if payload.get("fail"):
        raise Permanent("as asked")
    return {"said": payload}


class World:
    """A dispatcher whose intake is fed by the client's SQS door; waiting moves the dispatcher on."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.dispatcher.register(echo, agent_id="one", slots=2)
        self.aws = RecordingClient(self._answer)
        self.client = Client(
            INSTALLATION,
            aws_of(self.aws),
            store=self.dispatcher.store,
            blobs=self.dispatcher.blobs,
            now_ms=self.dispatcher.clock.now_ms,
            new_key=iter(f"key-{n}" for n in range(1_000)).__next__,
            backoff=Backoff(sleep=self._pause),
        )

    def _pause(self, seconds: float) -> None:
        self.dispatcher.run_until_idle()
        self.dispatcher.clock.advance(round(seconds * 1_000))

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        for entry in arguments["Entries"] if name == "send_message_batch" else []:
            kept = {"id": f"{entry['Id']}-{len(self.aws.calls)}", "envelope": json.loads(entry["MessageBody"])}
            self.dispatcher.sender.send(INTAKE, [Message(json.dumps(kept))])
        return accepting(name, arguments)


def order(**changes: Any) -> dict[str, Any]:
    return {"tenant_id": "atlas", "task_type": "echo", "payload": {"n": 1}, **changes}


def test_a_task_goes_in_and_its_result_comes_out() -> None:
    client = World().client
    submitted = client.submit(order())
    done = client.wait([submitted.task_id], timeout_seconds=10)[submitted.task_id]
    assert done.status is Status.SUCCEEDED
    assert (done.tenant_id, done.door, done.epoch) == ("atlas", Door.SQS, 1)
    assert done.task is not None
    assert done.task.payload == {"n": 1}
    assert client.result(done) == {"said": {"n": 1}}


def test_the_same_key_is_the_same_task() -> None:
    world = World()
    first, second = (world.client.submit(order(idempotency_key="once")) for _ in range(2))
    assert first.task_id == second.task_id
    world.client.wait([first.task_id], timeout_seconds=10)
    succeeded = [fact for fact in world.dispatcher.facts if fact.metadata.name == "TaskSucceeded"]
    assert len(succeeded) == 1


def test_keys_are_made_when_none_is_given() -> None:
    client = World().client
    one, other = client.submit(order()), client.submit(order())
    assert one.idempotency_key != other.idempotency_key


def test_a_large_payload_travels_as_a_claim_check() -> None:
    world = World()
    submitted = world.client.submit(order(payload=BIG))
    ((_, arguments),) = world.aws.calls
    sent = msgspec.json.decode(arguments["Entries"][0]["MessageBody"])["data"]["payload"]
    assert as_claim_check(sent) is not None
    record = world.client.wait([submitted.task_id], timeout_seconds=10)[submitted.task_id]
    assert world.client.result(record) == {"said": BIG}


def test_a_large_result_is_a_claim_check_in_the_record_and_resolved_on_reading() -> None:
    world = World()
    submitted = world.client.submit(order(payload=BIG))
    record = world.client.wait([submitted.task_id], timeout_seconds=10)[submitted.task_id]
    assert record.result is not None
    assert as_claim_check(record.result) is not None


def test_a_changed_claimed_object_is_noticed() -> None:
    world = World()
    submitted = world.client.submit(order(payload=BIG))
    record = world.client.wait([submitted.task_id], timeout_seconds=10)[submitted.task_id]
    claim = as_claim_check(record.result or {})
    assert claim is not None
    world.dispatcher.blobs.put(claim.key, b"{}")
    with pytest.raises(ResultUnavailable, match="SHA-256"):
        world.client.result(record)


def test_a_failed_task_has_no_result_and_says_why() -> None:
    client = World().client
    submitted = client.submit(order(payload={"fail": True}))
    record = client.wait([submitted.task_id], timeout_seconds=10)[submitted.task_id]
    assert record.status is Status.FAILED
    with pytest.raises(ResultUnavailable, match="as asked"):
        client.result(record)


def test_many_are_batched_and_all_are_accounted_for() -> None:
    world = World()
    batch = world.client.submit_many([order(payload={"n": n}) for n in range(25)])
    assert len(batch.accepted) == 25
    assert [len(arguments["Entries"]) for _, arguments in world.aws.calls] == [10, 10, 5]
    done = world.client.wait([one.task_id for one in batch.accepted], timeout_seconds=60)
    assert [client_n(world, done, one.task_id) for one in batch.accepted] == list(range(25))


def client_n(world: World, done: Mapping[str, Any], task_id: str) -> Any:
    return world.client.result(done[task_id])["said"]["n"]


def test_one_invalid_submission_keeps_all_from_being_sent() -> None:
    world = World()
    with pytest.raises(InvalidSubmission, match=r"\$\.data\.tier.*submission 1"):
        world.client.submit_many([order(), order(tier="urgent")])
    assert world.aws.calls == []


def test_an_unknown_door_is_named() -> None:
    with pytest.raises(InvalidSubmission, match="window"):
        World().client.submit(order(), door="window")


def test_a_refusal_gives_the_key_to_repeat_with() -> None:
    answer = {"Failed": [{"Id": "0", "Code": "InvalidMessageContents", "SenderFault": True}]}
    client = Client(INSTALLATION, aws_of(RecordingClient(lambda _name, _arguments: answer)), new_key=lambda: "k-1")
    with pytest.raises(SubmissionRefused) as raised:
        client.submit(order())
    assert raised.value.idempotency_key == "k-1"


def test_an_unknown_task_is_an_error() -> None:
    with pytest.raises(TaskUnknown):
        World().client.task("t-none")


def test_more_tasks_than_one_read_takes() -> None:
    world = World()
    ids = [one.task_id for one in world.client.submit_many([order() for _ in range(120)]).accepted]
    assert len(world.client.wait(ids, timeout_seconds=600)) == 120


def test_waiting_ends_and_names_who_is_not_done() -> None:
    world = World()
    with pytest.raises(StillRunning) as raised:
        world.client.wait(["t-never"], timeout_seconds=1)
    assert raised.value.task_ids == raised.value.unknown == {"t-never"}
