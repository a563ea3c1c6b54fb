"""The AWS clients that the producer SDK talks through; they are passed in, never made at import."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CONNECTIONS_MAX: Final = 20
ATTEMPTS_MAX: Final = 4


@dataclass(frozen=True, kw_only=True)
class AwsClients:
    """One client for each service that a producer or an operator needs."""

    dynamodb: "DynamoDBClient"
    events: "EventBridgeClient"
    kinesis: "KinesisClient"
    s3: "S3Client"
    sns: "SNSClient"
    sqs: "SQSClient"

    @classmethod
    def of(cls, session: "Session") -> "AwsClients":
        """All clients of one session (boto3, or one of `pushlane.local.sessions`), with bounded retries."""
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS_MAX}, max_pool_connections=CONNECTIONS_MAX
        )
        return cls(
            dynamodb=session.client("dynamodb", config=config),
            events=session.client("events", config=config),
            kinesis=session.client("kinesis", config=config),
            s3=session.client("s3", config=config),
            sns=session.client("sns", config=config),
            sqs=session.client("sqs", config=config),
        )
