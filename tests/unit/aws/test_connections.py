"""Posting to connections: what API Gateway's answers mean, and where it is asked."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3
import pytest
from botocore.config import Config

from pushlane.aws.connections import ApiGatewayPoster, endpoint_of
from pushlane.model.live import Connection
from pushlane.ports import Frame, Posted

STATUSES = {"gone": 410, "forbidden": 403, "busy": 429, "broken": 500}


class Gateway(BaseHTTPRequestHandler):
    """Answers by the connection's id; `hangs` not at all."""

    asked: ClassVar[list[tuple[str, str, bytes]]] = []
    released: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(("POST", self.path, body))
        name = self.path.rpartition("/")[2]
        if name == "hangs":
            self.released.wait(5)
        self._answer(STATUSES.get(name, 200), {"gone": "GoneException", "busy": "LimitExceededException"}.get(name, ""))

    def do_DELETE(self) -> None:
        self.asked.append(("DELETE", self.path, b""))
        self._answer(410 if self.path.endswith("gone") else 204, "GoneException")

    def _answer(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("x-amzn-ErrorType", kind)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Tests are quiet."""


@pytest.fixture
def poster(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiGatewayPoster]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    Gateway.asked, Gateway.released = [], threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = Config(read_timeout=2, retries={"total_max_attempts": 1}, region_name="us-east-1")
    yield ApiGatewayPoster(
        lambda endpoint: boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=config),
        local_endpoint=f"http://127.0.0.1:{server.server_port}/",
    )
    Gateway.released.set()
    server.shutdown()
    server.server_close()


def frame(name: str) -> Frame:
    return Frame(a_connection(name), b'{"n":1}')


def a_connection(name: str) -> Connection:
    return Connection(connection_id=name, api_id="a1", domain="a1.execute-api.eu-west-1.amazonaws.com", stage="live")


def test_a_frame_is_posted_as_it_is_to_the_connection(poster: ApiGatewayPoster) -> None:
    assert poster.post([frame("one=")]) == [Posted.DELIVERED]
    assert Gateway.asked == [("POST", "/_aws/execute-api/a1/live/@connections/one%3D", b'{"n":1}')]


@pytest.mark.parametrize(
    ("name", "posted"),
    [
        ("gone", Posted.GONE),
        ("forbidden", Posted.SLOW),
        ("busy", Posted.SLOW),
        ("broken", Posted.SLOW),
        ("hangs", Posted.SLOW),
    ],
)
def test_what_is_not_delivered_is_gone_or_slow_and_nothing_is_raised(
    poster: ApiGatewayPoster, name: str, posted: Posted
) -> None:
    assert poster.post([frame(name), frame("fine")]) == [posted, Posted.DELIVERED]


def test_a_hundred_frames_are_posted_side_by_side_and_answered_in_order(poster: ApiGatewayPoster) -> None:
    frames = [frame("gone" if number % 3 == 0 else f"c{number}") for number in range(100)]
    answers = poster.post(frames)
    assert [answer is Posted.GONE for answer in answers] == [number % 3 == 0 for number in range(100)]


def test_closing_what_is_closed_is_no_error(poster: ApiGatewayPoster) -> None:
    poster.close(a_connection("gone"))
    poster.close(a_connection("open"))
    assert [method for method, _, _ in Gateway.asked] == ["DELETE", "DELETE"]


def test_on_aws_every_api_has_its_own_domain() -> None:
    assert endpoint_of(a_connection("x")) == "https://a1.execute-api.eu-west-1.amazonaws.com/live"
