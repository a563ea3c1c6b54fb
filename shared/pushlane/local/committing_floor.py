"""The floor with the calls without which a task could be lost or run twice: what no dispatcher on these services can do
without. Each of its functions does nothing else.

Before the first one forwards, it reads who is free and commits a task, an attempt, a slot and an account in one
transaction; before the last one takes the time, it becomes the attempt's only runner by a conditional write. The
committed changes go to a consumer of the table's stream that does nothing.
"""

from typing import Final

COMMIT: Final = """
import json, os, uuid, boto3
dynamodb = boto3.client("dynamodb")
sqs = boto3.client("sqs")
table = os.environ["TABLE"]

def commit(body):
    sample = json.loads(body)["detail"]["sample"]
    free = {":free": {"S": "free"}}
    dynamodb.query(
        TableName=table, KeyConditionExpression="pk = :free", ExpressionAttributeValues=free, ConsistentRead=True
    )
    new = [
        {"Put": {"TableName": table, "Item": {"pk": {"S": key}}, "ConditionExpression": "attribute_not_exists(pk)"}}
        for key in (sample + "#task", sample + "#attempt")
    ]
    counted = [
        {"Update": {
            "TableName": table,
            "Key": {"pk": {"S": key}},
            "UpdateExpression": "ADD used :one",
            "ConditionExpression": "attribute_not_exists(used) OR used < :most",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":most": {"N": "1000000"}},
        }}
        for key in ("free", "account")
    ]
    dynamodb.transact_write_items(TransactItems=new + counted, ClientRequestToken=uuid.uuid4().hex)
    sqs.send_message(QueueUrl=os.environ["NEXT_QUEUE_URL"], MessageBody=body)
"""
COMMIT_AND_FORWARD: Final = f"""{COMMIT}
def handler(event, context):
    for record in event["Records"]:
        commit(record["body"])
    print("forwarded")
"""
# As an HTTP API calls it.
COMMIT_AND_ANSWER: Final = f"""{COMMIT}
def handler(event, context):
    commit(event["body"])
    print("forwarded")
    return {{"statusCode": 202, "headers": {{"content-type": "application/json"}}, "body": event["body"]}}
"""
START_AND_NOTE_TIME: Final = """
import json, os, time, boto3
dynamodb = boto3.client("dynamodb")
table = os.environ["TABLE"]

def handler(event, context):
    for record in event["Records"]:
        sample = json.loads(record["body"])["detail"]["sample"]
        dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": sample + "#attempt"}},
            UpdateExpression="SET runner = :me",
            ConditionExpression="attribute_exists(pk) AND attribute_not_exists(runner)",
            ExpressionAttributeValues={":me": {"S": context.aws_request_id}},
        )
        ran_at_ms = time.time_ns() // 1_000_000
        item = {"pk": {"S": sample}, "ran_at_ms": {"N": str(ran_at_ms)}}
        dynamodb.put_item(TableName=table, Item=item)
    print("noted")
"""
HEAR: Final = """
def handler(event, context):
    print("heard")
"""
