"""The Lambda authorizer: of the HTTP API (payload 2.0, simple response) and of the WebSocket's `$connect` (policy)."""

from collections.abc import Callable, Mapping
from typing import Any

from pushlane.api.caller import context_of, method_and_path, shown
from pushlane.api.credentials import Credentials
from pushlane.api.refusals import CredentialRefused
from pushlane.model.principal import Principal


class Authorizer:
    """Answers API Gateway. A refusal is an answer; that it cannot be said now is an error, and API Gateway's 500."""

    def __init__(self, credentials: Credentials, log: Callable[..., None]) -> None:
        self._credentials = credentials
        self._log = log

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One authorizer event to its response. Raises `KeysUnavailable` and `StoreUnavailable`."""
        if event.get("version") == "2.0":
            return self._of_request(event)
        return self._of_connection(event)

    def _of_request(self, event: Mapping[str, Any]) -> dict[str, Any]:
        method, path = method_and_path(event)
        try:
            found = self._credentials.authenticate(*shown(event), method=method, path=path)
        except CredentialRefused as refused:
            self._refused(event, refused)
            return {"isAuthorized": False}
        return {"isAuthorized": True, "context": context_of(found)}

    def _of_connection(self, event: Mapping[str, Any]) -> dict[str, Any]:
        resource = str(event["methodArn"])
        try:
            found = self._credentials.authenticate_connection(*shown(event))
        except CredentialRefused as refused:
            self._refused(event, refused)
            return _policy("nobody", "Deny", resource)
        return _policy(found.principal_id, "Allow", resource, found)

    def _refused(self, event: Mapping[str, Any], refused: CredentialRefused) -> None:
        request = event.get("requestContext") or {}
        self._log(
            "credential-refused", code=refused.code.value, reason=refused.reason, request_id=request.get("requestId")
        )


def _policy(principal_id: str, effect: str, resource: str, principal: Principal | None = None) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    answer: dict[str, Any] = {
        "principalId": principal_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }
    return answer if principal is None else answer | {"context": context_of(principal)}
