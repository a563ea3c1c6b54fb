"""`Poster` on API Gateway's @connections."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from pushlane.aws.backoff import Backoff
from pushlane.aws.failures import SEND_ERRORS, Failure, SendError, error_code, failure_of, http_status
from pushlane.model.live import Connection
from pushlane.ports import Frame, Posted

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

_logger = logging.getLogger(__name__)

# Posts wait for the network, not for the processor.
_THREADS: Final = 16
_BACKOFF: Final = Backoff(sends_max=4)
_CLIENTS_MAX: Final = 8

Connect = Callable[[str], "ApiGatewayManagementApiClient"]


class ApiGatewayPoster:
    """Posts through the API that a connection was opened at. `connect` makes the client of an endpoint, with timeouts
    short enough for somebody else to wait for; `local_endpoint` is where an emulator serves all APIs under one address
    (empty on AWS, where each has its own domain).
    """

    def __init__(self, connect: Connect, *, local_endpoint: str = "") -> None:
        self._connect = connect
        self._local_endpoint = local_endpoint.rstrip("/")
        self._clients: dict[str, ApiGatewayManagementApiClient] = {}

    def post(self, frames: Sequence[Frame]) -> list[Posted]:
        """See `Poster.post`. A frame whose answer was lost may arrive twice."""
        clients = [self._client(frame.connection) for frame in frames]
        if len(frames) == 1:
            return [_post(clients[0], frames[0])]
        return list(self._threads.map(_post, clients, frames))

    def close(self, connection: Connection) -> None:
        """See `Poster.close`."""
        try:
            self._client(connection).delete_connection(ConnectionId=connection.connection_id)
        except SEND_ERRORS:
            return  # its subscriptions are gone, and API Gateway closes it in its time

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=_THREADS)

    def _client(self, connection: Connection) -> "ApiGatewayManagementApiClient":
        endpoint = endpoint_of(connection, self._local_endpoint)
        if endpoint not in self._clients:
            if len(self._clients) >= _CLIENTS_MAX:
                self._clients.clear()
            self._clients[endpoint] = self._connect(endpoint)
        return self._clients[endpoint]


def endpoint_of(connection: Connection, local_endpoint: str = "") -> str:
    """Where the connection's API is managed."""
    if local_endpoint:
        return f"{local_endpoint}/_aws/execute-api/{connection.api_id}/{connection.stage}"
    return f"https://{connection.domain}/{connection.stage}"


def _post(client: "ApiGatewayManagementApiClient", frame: Frame) -> Posted:
    for _ in _BACKOFF.sends():
        try:
            client.post_to_connection(ConnectionId=frame.connection.connection_id, Data=frame.body)
        except SEND_ERRORS as error:
            if error_code(error) == "GoneException" or _status(error) == HTTPStatus.GONE:
                return Posted.GONE
            if _status(error) != HTTPStatus.TOO_MANY_REQUESTS and failure_of(error) is not Failure.BUSY:
                _logger.warning("a frame was not taken: %s", error_code(error))
                return Posted.SLOW
        else:
            return Posted.DELIVERED
    return Posted.SLOW


def _status(error: SendError) -> int:
    return http_status(error) if isinstance(error, ClientError) else 0
