"""The floor of submitting over HTTP: the same authorizer, a function that only forwards, one queue, one function.

HTTP API -> Lambda -> SQS -> Lambda. The second function takes the time before anything else and reports it afterwards
in a table, where the sampler finds it. What Pushlane's own call adds is the difference. The committing floor makes the
calls that a dispatcher cannot do without.
"""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx

from pushlane.client.installation import reachable
from pushlane.local.committing_floor import COMMIT_AND_ANSWER, START_AND_NOTE_TIME
from pushlane.local.floor import NOTE_TIME, FloorParts, ran_at_ms

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client
    from mypy_boto3_dynamodb import DynamoDBClient

PATH: Final = "/v1/floor"
# Like Pushlane's own function it prints a line: a silent one is slower on the embedded emulator.
FORWARD_CALL: Final = """
import os, boto3
sqs = boto3.client("sqs")

def handler(event, context):
    sqs.send_message(QueueUrl=os.environ["NEXT_QUEUE_URL"], MessageBody=event["body"])
    print("forwarded")
    return {"statusCode": 202, "headers": {"content-type": "application/json"}, "body": event["body"]}
"""


class ApiFloor:
    """A deployed floor: send a sample, ask when it ran."""

    def __init__(self, url: str, credential: str, dynamodb: "DynamoDBClient", table: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {credential}"}, timeout=30)
        self._dynamodb = dynamodb
        self._table = table

    def send(self) -> tuple[str, int]:
        """Call once; returns the sample id and when the call began (Unix ms). Raises `httpx.HTTPStatusError`."""
        sample = uuid.uuid4().hex
        body = json.dumps({"detail": {"sample": sample}})
        began_at_ms = time.time_ns() // 1_000_000
        answer = self._http.post(PATH, content=body, headers={"content-type": "application/json"})
        answer.raise_for_status()
        return sample, began_at_ms

    def ran_at_ms(self, sample: str) -> int | None:
        """When the second function took the time for the sample; None if it has not yet."""
        return ran_at_ms(self._dynamodb, self._table, sample)

    def close(self) -> None:
        self._http.close()


@contextmanager
def deployed_api_floor(session: "Session", http_url: str, credential: str) -> Iterator[ApiFloor]:
    """Deploy the floor beside the HTTP API at `http_url` (embedded AWS only), behind the very authorizer of that, and
    remove it afterwards.
    """
    name = f"pushlane-api-floor-{uuid.uuid4().hex[:8]}"
    with ExitStack() as undo:
        floor = _HttpFloor(session, name, undo).deploy(http_url, credential)
        undo.callback(floor.close)
        yield floor


@contextmanager
def deployed_committing_api_floor(session: "Session", http_url: str, credential: str) -> Iterator[ApiFloor]:
    """The same for the committing floor."""
    name = f"pushlane-api-committing-{uuid.uuid4().hex[:8]}"
    with ExitStack() as undo:
        floor = _HttpFloor(session, name, undo).deploy_committing(http_url, credential)
        undo.callback(floor.close)
        yield floor


class _HttpFloor(FloorParts):
    def __init__(self, session: "Session", name: str, undo: ExitStack) -> None:
        super().__init__(session, name, undo)
        self._apis: ApiGatewayV2Client = session.client("apigatewayv2")

    def deploy(self, http_url: str, credential: str) -> ApiFloor:
        """Back to front, so that nothing is sent to what is not there yet."""
        self._table()
        queue_url, queue_arn = self._queue("only")
        self._consume(self._function("note", NOTE_TIME, {"TABLE": self._name}), queue_arn, batch=1)
        forward = self._function("forward", FORWARD_CALL, {"NEXT_QUEUE_URL": queue_url})
        url = self._api(forward, self._authorizer_of(_api_id(http_url)))
        return ApiFloor(url, credential, self._dynamodb, self._name)

    def deploy_committing(self, http_url: str, credential: str) -> ApiFloor:
        """Back to front, too."""
        self._hear(self._streamed_table())
        queue_url, queue_arn = self._queue("only")
        self._consume(self._function("start", START_AND_NOTE_TIME, {"TABLE": self._name}), queue_arn, batch=1)
        commit = self._function("commit", COMMIT_AND_ANSWER, {"TABLE": self._name, "NEXT_QUEUE_URL": queue_url})
        url = self._api(commit, self._authorizer_of(_api_id(http_url)))
        return ApiFloor(url, credential, self._dynamodb, self._name)

    def _authorizer_of(self, api_id: str) -> dict[str, Any]:
        """That of the API: the same function, asked in the same way."""
        (found,) = self._apis.get_authorizers(ApiId=api_id)["Items"]
        names = (
            *("AuthorizerType", "AuthorizerUri", "AuthorizerPayloadFormatVersion"),
            *("AuthorizerResultTtlInSeconds", "EnableSimpleResponses", "IdentitySource"),
        )
        asked: dict[str, Any] = dict(found)
        return {name: asked[name] for name in names if name in asked}

    def _api(self, function_arn: str, authorizer: dict[str, Any]) -> str:
        created = self._apis.create_api(Name=self._name, ProtocolType="HTTP")
        api_id = created["ApiId"]
        self._later(lambda: self._apis.delete_api(ApiId=api_id))
        authorizer_id = self._apis.create_authorizer(ApiId=api_id, Name="same", **authorizer)["AuthorizerId"]
        integration = self._apis.create_integration(
            ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function_arn, PayloadFormatVersion="2.0"
        )
        self._apis.create_route(
            ApiId=api_id,
            RouteKey=f"POST {PATH}",
            Target=f"integrations/{integration['IntegrationId']}",
            AuthorizationType="CUSTOM",
            AuthorizerId=authorizer_id,
        )
        self._apis.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
        return reachable(created["ApiEndpoint"], "http")


def _api_id(http_url: str) -> str:
    """.../_aws/execute-api/<api id>/<stage>, as `pushlane.client.installation` has it."""
    return http_url.split("/execute-api/")[1].split("/")[0]
