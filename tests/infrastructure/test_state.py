"""State: keys and indexes as the code uses them, kept or deleted as the stage says."""

import pytest

from pushlane.ports import LOCAL_INDEXES
from tests.infrastructure.templates import Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

KEPT = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")


def test_production_keeps_its_state_when_it_is_destroyed(prod: Templates) -> None:
    for kind in KEPT:
        for one in prod.resources(kind):
            assert one.body["DeletionPolicy"] == one.body["UpdateReplacePolicy"] == "Retain", one.logical_id
    for table in prod.resources("AWS::DynamoDB::Table"):
        assert table.properties["DeletionProtectionEnabled"] is True


def test_a_local_stage_leaves_nothing_behind(local: Templates) -> None:
    for one in local.resources():
        assert one.body.get("DeletionPolicy", "Delete") == "Delete", one.logical_id
    assert not local.resources("Custom::S3AutoDeleteObjects")  # hangs on the emulator


@pytest.mark.parametrize(("stage", "enabled"), [("local", False), ("prod", True)])
def test_point_in_time_recovery_is_on_where_the_stage_says(
    request: pytest.FixtureRequest, stage: str, enabled: bool
) -> None:
    templates: Templates = request.getfixturevalue(stage)
    tables = templates.resources("AWS::DynamoDB::Table")
    assert len(tables) == 7
    for table in tables:
        recovery = table.properties["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": enabled}
        assert table.properties["BillingMode"] == "PAY_PER_REQUEST"
        assert "TableName" not in table.properties
        assert [key["AttributeName"] for key in table.properties["KeySchema"]] == ["pk", "sk"]


def test_tasks_stream_expire_and_are_listed_by_tenant(prod: Templates) -> None:
    table = prod.only("AWS::DynamoDB::Table", named="Tasks").properties
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at_s", "Enabled": True}
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by_tenant"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["tenant_bucket", "accepted_at_ms"]


@pytest.mark.parametrize("name", ["Events", "Connections", "Measures"])
def test_what_is_kept_for_a_while_expires_and_nobody_follows_it_by_a_stream(prod: Templates, name: str) -> None:
    table = prod.only("AWS::DynamoDB::Table", named=name).properties
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at_s", "Enabled": True}
    assert not {"StreamSpecification", "LocalSecondaryIndexes", "GlobalSecondaryIndexes"} & table.keys()


LOCAL = {
    "Attempts": {"by_lease": ("lease_until_ms", "N")},
    "Scheduler": {"by_turn": ("turn_key", "S"), "by_urgency": ("urgent_key", "S"), "by_late": ("late_key", "S")},
}


def test_the_local_indexes_are_those_that_the_code_reads(prod: Templates) -> None:
    read = {(table.value, index): one.attribute for (table, index), one in LOCAL_INDEXES.items()}
    assert read == {(t.lower(), index): key for t, indexes in LOCAL.items() for index, (key, _) in indexes.items()}
    for table, indexes in LOCAL.items():
        properties = prod.only("AWS::DynamoDB::Table", named=table).properties
        assert {one["IndexName"] for one in properties["LocalSecondaryIndexes"]} == indexes.keys()


@pytest.mark.parametrize(
    ("table", "index", "key", "kind"),
    [(table, index, *key) for table, indexes in LOCAL.items() for index, key in indexes.items()],
)
def test_local_indexes_read_whole_items_by_their_key(
    prod: Templates, table: str, index: str, key: str, kind: str
) -> None:
    properties = prod.only("AWS::DynamoDB::Table", named=table).properties
    (found,) = [one for one in properties["LocalSecondaryIndexes"] if one["IndexName"] == index]
    assert [one["AttributeName"] for one in found["KeySchema"]] == ["pk", key]
    assert found["Projection"] == {"ProjectionType": "ALL"}
    assert {"AttributeName": key, "AttributeType": kind} in properties["AttributeDefinitions"]


def test_claims_are_private_encrypted_and_expire(prod: Templates) -> None:
    bucket = prod.only("AWS::S3::Bucket").properties
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    expiries = {one["Prefix"]: one["ExpirationInDays"] for one in bucket["LifecycleConfiguration"]["Rules"]}
    assert expiries == {"claims/": 400}
    policy = prod.only("AWS::S3::BucketPolicy").properties["PolicyDocument"]["Statement"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [one.get("Condition") for one in policy]


def test_the_signing_secret_is_generated(prod: Templates) -> None:
    secret = prod.only("AWS::SecretsManager::Secret").properties
    assert secret["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 64}


def test_stacks_have_stable_names(prod: Templates, local: Templates) -> None:
    concerns = {"State", "Channels", "Routing", "Agents"}
    assert local.stacks.keys() == {f"Pushlane-Local-{concern}" for concern in concerns}
    assert prod.stacks.keys() == {f"Pushlane-Prod-{concern}" for concern in (*concerns, "Api", "Observability")}


def test_clients_find_what_they_need_in_the_outputs(prod: Templates) -> None:
    # What the observability stack reads of the others comes under names that CDK makes.
    outputs = {name: value for name, value in prod.outputs().items() if not name.startswith("PublishOutput")}
    assert outputs.keys() == {
        *("TasksTable", "AttemptsTable", "SchedulerTable", "ConfigTable", "EventsTable", "ClaimsBucket"),
        *("ConnectionsTable", "SigningSecretArn", "HttpUrl", "IamHttpUrl", "WebSocketUrl", "ScheduleGroup"),
        *("IngressBusName", "FactsBusName", "IntakeTopicArns", "AnnouncementsTopicArn", "IntakeQueueUrls"),
        *("StreamName", "ResultsQueueUrl", "WakeupsQueueUrl", "HeldQueueUrl", "QuarantineQueueUrl"),
        *("DeadLetterQueues", "AlarmsTopicArn", "MeasuresTable"),
    }
    dead_letters = [queue for queue in prod.resources("AWS::SQS::Queue") if "DeadLetters" in queue.logical_id]
    places = str(outputs["DeadLetterQueues"])
    for queue in dead_letters:
        assert queue.logical_id in places
    assert "Undelivered" in places
    assert "Quarantine" in places
