"""boto3 clients, one of a kind in a process, with bounded waits; the endpoint comes from `AWS_ENDPOINT_URL` alone."""

from functools import cache
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from pushlane.aws.backoff import Backoff

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

    from pushlane.aws.xray import PutsSegments

# Two tries by the client, and at most two by our adapters on top: a call that hangs ends within the router's 30 s.
# Our adapters build every request, and the service checks it again; boto3's own check costs 0.3 ms a call.
_CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    parameter_validation=False,
)

ADAPTER_BACKOFF: Final = Backoff(sends_max=2)


@cache
def dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def sqs() -> "SQSClient":
    return boto3.client("sqs", config=_CONFIG)


@cache
def events() -> "EventBridgeClient":
    return boto3.client("events", config=_CONFIG)


@cache
def sns() -> "SNSClient":
    return boto3.client("sns", config=_CONFIG)


@cache
def xray() -> "PutsSegments":
    client: PutsSegments = boto3.client("xray", config=_CONFIG)
    return client


@cache
def lambda_() -> "LambdaClient":
    return boto3.client("lambda", config=_CONFIG)


@cache
def scheduler() -> "EventBridgeSchedulerClient":
    return boto3.client("scheduler", config=_CONFIG)


@cache
def s3() -> "S3Client":
    return boto3.client("s3", config=_CONFIG)


@cache
def secretsmanager() -> "SecretsManagerClient":
    return boto3.client("secretsmanager", config=_CONFIG)
