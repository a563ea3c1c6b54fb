"""boto3 sessions for a local endpoint or for AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import boto3

from pushlane.local.endpoint import DUMMY_KEY, LOCAL_REGION
from pushlane.local.errors import EndpointConflict

if TYPE_CHECKING:
    from boto3.session import Session


def session_for(endpoint_url: str | None, region: str | None = None) -> Session:
    """A boto3 session whose clients talk to the emulator at `endpoint_url`, or to AWS when it is None.

    For an emulator it comes from localstack-client: dummy credentials, and every service at the one endpoint. For AWS
    it is plain boto3 with the user's own credentials. Raises EndpointConflict when AWS_ENDPOINT_URL says otherwise.
    """
    if endpoint_url is None:
        return boto3.session.Session(region_name=region)
    return _local_session(endpoint_url, region or LOCAL_REGION)


def _local_session(endpoint_url: str, region: str) -> Session:
    from localstack_client.config import get_service_endpoint
    from localstack_client.session import Session as LocalSession

    host = urlsplit(endpoint_url).netloc
    found = get_service_endpoint("sqs", localstack_host=host)
    if found is None or found.rstrip("/") != endpoint_url.rstrip("/"):
        raise EndpointConflict(endpoint_url, str(found))
    session = LocalSession(
        aws_access_key_id=DUMMY_KEY, aws_secret_access_key=DUMMY_KEY, region_name=region, localstack_host=host
    )
    # It has boto3's `client` and `resource` and no common base class.
    return cast("Session", session)
