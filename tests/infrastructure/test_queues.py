"""Nothing is dropped: every queue has a dead-letter queue or is one, and every hop can put aside what it gives up."""

from typing import Any

import pytest

from tests.infrastructure.templates import Resource, Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

FOURTEEN_DAYS = 14 * 24 * 3600
# Queues that take what could not be delivered; the quarantine is the operator's, and nothing consumes it.
LAST_RESORTS = ("DeadLetters", "Undelivered", "Quarantine")


def is_last_resort(queue: Resource) -> bool:
    return any(name in queue.logical_id for name in LAST_RESORTS)


def test_every_queue_has_a_dead_letter_queue_or_is_one(prod: Templates) -> None:
    working = [queue for queue in prod.resources("AWS::SQS::Queue") if not is_last_resort(queue)]
    assert len(working) == 8 + 3 + 1 + 2 + 3  # intake; held, results and wake-ups; events; the courier's; agents
    for queue in working:
        redrive = queue.properties["RedrivePolicy"]
        assert 1 < redrive["maxReceiveCount"] <= 10
        dead_letters = prod.target(redrive["deadLetterTargetArn"], queue.stack)
        assert is_last_resort(dead_letters)
        assert dead_letters.properties.get("FifoQueue") == queue.properties.get("FifoQueue")


def test_events_are_in_order_and_known_again_by_task(prod: Templates) -> None:
    """For the whole queue, what an agent sends could use up the throughput, and the ids, of everybody's."""
    (queue,) = [one for one in prod.resources("AWS::SQS::Queue", named="Events") if not is_last_resort(one)]
    assert queue.properties["FifoQueue"] is True
    assert queue.properties["DeduplicationScope"] == "messageGroup"
    assert queue.properties["FifoThroughputLimit"] == "perMessageGroupId"
    assert "ContentBasedDeduplication" not in queue.properties


def test_undeliverable_messages_wait_for_fourteen_days(prod: Templates) -> None:
    for queue in prod.resources("AWS::SQS::Queue"):
        assert queue.properties["MessageRetentionPeriod"] == FOURTEEN_DAYS, queue.logical_id


def test_a_message_stays_invisible_for_six_timeouts_of_its_consumer(prod: Templates) -> None:
    consumed = 0
    for mapping in prod.resources("AWS::Lambda::EventSourceMapping"):
        source = prod.target(mapping.properties["EventSourceArn"], mapping.stack)
        if source.kind == "AWS::SQS::Queue":
            function = prod.target(mapping.properties["FunctionName"], mapping.stack)
            assert source.properties["VisibilityTimeout"] >= 6 * function.properties["Timeout"]
            consumed += 1
    assert consumed == 8 + 3 + 1 + 2 + 3


def test_queues_are_encrypted_and_refuse_plain_transport(prod: Templates) -> None:
    policies = prod.resources("AWS::SQS::QueuePolicy")
    guarded = {
        (policy.stack, queue["Ref"])
        for policy in policies
        for queue in policy.properties["Queues"]
        if any(denies_plain_transport(one) for one in policy.properties["PolicyDocument"]["Statement"])
    }
    for queue in prod.resources("AWS::SQS::Queue"):
        assert queue.properties["SqsManagedSseEnabled"] is True
        assert (queue.stack, queue.logical_id) in guarded, queue.logical_id


def test_the_emulator_is_not_asked_for_tls_that_it_does_not_speak(local: Templates) -> None:
    for kind in ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"):
        for policy in local.resources(kind):
            assert "aws:SecureTransport" not in str(policy.properties), policy.logical_id


def denies_plain_transport(statement: dict[str, Any]) -> bool:
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    return bool(statement["Effect"] == "Deny" and statement["Condition"] == plain)


@pytest.mark.parametrize("queue", ["ChannelsIntake0", "ChannelsUndelivered"])
def test_rules_of_the_facts_bus_may_send_to_intake_and_its_dead_letters(prod: Templates, queue: str) -> None:
    """Without this right a follow-up would be lost without a trace."""
    statements = [
        statement
        for policy in prod.resources("AWS::SQS::QueuePolicy", named=queue)
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and "ArnLike" in statement.get("Condition", {})
    ]
    (statement,) = statements
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert "rule/" in str(statement["Condition"])
    assert "ChannelsFacts" in str(statement["Condition"])
