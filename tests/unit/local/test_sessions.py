"""Which endpoint and whose credentials a session uses."""

import pytest

from pushlane.local.errors import EndpointConflict
from pushlane.local.sessions import session_for

ENDPOINT = "http://127.0.0.1:14999"


def test_a_local_session_talks_to_the_one_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    session = session_for(ENDPOINT, "eu-west-1")
    client = session.client("dynamodb")
    assert client.meta.endpoint_url == ENDPOINT
    assert client.meta.region_name == "eu-west-1"
    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.access_key == "test"


def test_another_endpoint_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    with pytest.raises(EndpointConflict, match=f"4566, but {ENDPOINT} was asked for"):
        session_for(ENDPOINT)


def test_without_an_endpoint_it_is_plain_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine too")
    session = session_for(None, "eu-west-1")
    assert session.client("sqs").meta.endpoint_url.endswith("eu-west-1.amazonaws.com")
    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.access_key == "mine"
