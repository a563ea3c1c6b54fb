"""Posting to WebSocket connections, wired for Lambda."""

from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from pushlane.aws.connections import ApiGatewayPoster
from pushlane.wiring.process import environ

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

# Who takes longer than this is slow: others wait behind the same frame.
POST_SECONDS: Final = 2
_CONFIG: Final = Config(
    connect_timeout=POST_SECONDS,
    read_timeout=POST_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=16,
    tcp_keepalive=True,
    parameter_validation=False,
)


def poster() -> ApiGatewayPoster:
    """The poster of this process. An emulator serves every API under its one address."""
    return ApiGatewayPoster(_connect, local_endpoint=environ().get("AWS_ENDPOINT_URL", ""))


def _connect(endpoint: str) -> "ApiGatewayManagementApiClient":
    return boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=_CONFIG)
