"""The HTTP application: an event of API Gateway (payload 2.0) -> operation -> answer. Every refusal is a problem."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.api import access
from pushlane.api.catalogue import OPERATIONS
from pushlane.api.event import HttpCall, call_of
from pushlane.api.operations import JSON, Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import PROBLEM, Problem, invalid, of_event, unavailable, unknown
from pushlane.api.routing import Found, Routes
from pushlane.api.strict import convert_query, decode
from pushlane.model.errors import InvalidEvent, PushlaneError
from pushlane.model.principal import Principal

_HEAD: Final = "HEAD"
_OPTIONS: Final = "OPTIONS"


class _NoParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What an operation without query parameters takes."""


class _Answered(Struct, frozen=True, kw_only=True):
    response: Response
    operation_id: str | None = None
    principal: Principal | None = None


class Api:
    """Answers HTTP events. `unforeseen` gets every error that nothing expected, before it becomes a 503; a test's may
    raise it again.
    """

    def __init__(
        self,
        ports: ApiPorts,
        operations: Iterable[Operation] = OPERATIONS,
        unforeseen: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._ports = ports
        self._routes = Routes(operations)
        self._unforeseen = unforeseen

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The response to one event, as API Gateway takes it. Never raises."""
        call = call_of(event, self._ports.new_id)
        answered = self._answered(event, call)
        said = answered.response
        principal = answered.principal
        self._ports.log(
            "request",
            operation=answered.operation_id,
            status=said.status,
            tenant_id=None if principal is None else principal.tenant_id,
            principal_id=None if principal is None else principal.principal_id,
            request_id=call.request_id,
        )
        return _encoded(said, call)

    def _answered(self, event: Mapping[str, Any], call: HttpCall) -> _Answered:
        operation: Operation | None = None
        principal: Principal | None = None
        try:
            found = self._found(call)
            if call.method == _OPTIONS:
                return _Answered(response=Response(status=204, headers={"allow": _allowed(found)}))
            operation = _operation(found, call)
            principal = None if operation.public else self._ports.identify(event)
            response = operation.run(self._ports, self._request(found, operation, principal, call))
        except Problem as problem:
            response = _refusal(problem, call)
        except InvalidEvent as error:
            response = _refusal(of_event(error), call)
        except PushlaneError as error:
            self._ports.log("request-failed", request_id=call.request_id, error=f"{type(error).__name__}: {error}")
            response = _refusal(unavailable(), call)
        except Exception as error:  # the outermost boundary: without this the caller gets a bare 500 of API Gateway
            self._ports.log("unforeseen", request_id=call.request_id, error=f"{type(error).__name__}: {error}"[:500])
            self._unforeseen(error)
            response = _refusal(unavailable(), call)
        return _Answered(
            response=response,
            operation_id=None if operation is None else operation.operation_id,
            principal=principal,
        )

    def _found(self, call: HttpCall) -> Found:
        found = self._routes.find(call.path)
        if found is None:
            raise Problem(404, "no-such-path", "nothing is served at this path: see /v1/openapi.json")
        return found

    def _request(self, found: Found, operation: Operation, principal: Principal | None, call: HttpCall) -> Request:
        access.admit(operation, principal)
        path = found.path_of(operation)
        for value in path.values():
            if not access.IDENTIFIER.match(value):
                raise unknown(operation.owns or "resource")
        said = dict(call.query())
        tenant = None if operation.public else said.pop("tenant", None)
        if tenant is not None and not access.IDENTIFIER.match(tenant):
            raise invalid("query.tenant", "is no tenant id")
        access.check_tenant(principal, tenant)
        query = convert_query(said, operation.query or _NoParameters)
        raw = call.body(operation.body_bytes_max)
        return Request(
            principal=principal,
            path=path,
            query=query if operation.query else None,
            body=None if operation.body is None else decode(raw, operation.body),
            headers=call.headers,
            raw_body=raw,
            request_id=call.request_id,
            now_ms=self._ports.clock.now_ms(),
            tenant=tenant,
            received_at_ms=call.received_at_ms,
        )


def _operation(found: Found, call: HttpCall) -> Operation:
    method = "GET" if call.method == _HEAD else call.method
    operation = found.operations.get(method)
    if operation is None:
        allow = _allowed(found)
        raise Problem(405, "method-not-allowed", f"allowed here: {allow}", headers={"allow": allow})
    return operation


def _allowed(found: Found) -> str:
    heads = {_HEAD} if "GET" in found.operations else set[str]()
    return ", ".join(sorted({*found.operations, _OPTIONS, *heads}))


def _refusal(problem: Problem, call: HttpCall) -> Response:
    document = problem.document(call.path, call.request_id)
    return Response(status=problem.status, body=document, headers=problem.all_headers(), content_type=PROBLEM)


def _encoded(response: Response, call: HttpCall) -> dict[str, Any]:
    headers = {"cache-control": "no-store", "x-request-id": call.request_id, **response.headers}
    answer: dict[str, Any] = {"statusCode": response.status, "headers": headers, "isBase64Encoded": False}
    if response.body is None:
        return answer
    headers["content-type"] = response.content_type
    if call.method != _HEAD:
        answer["body"] = _text(response)
    return answer


def _text(response: Response) -> str:
    if response.content_type in (JSON, PROBLEM):
        return msgspec.json.encode(response.body).decode()
    return response.body.decode() if isinstance(response.body, bytes) else str(response.body)
