"""Who an event of API Gateway comes from: what its authorizer has found, or, in process, what its headers show."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.api.credentials import Credentials, check_reach
from pushlane.api.refusals import CredentialRefused
from pushlane.model.principal import Principal

_FIELDS: Final = Principal.__struct_fields__
_TRUE: Final = "true"


def context_of(principal: Principal) -> dict[str, str]:
    """The principal as an authorizer's context: text by name, which every kind of API takes."""
    said = msgspec.to_builtins(principal)
    return {name: _text(value) for name, value in said.items() if value is not None}


def principal_from(context: Mapping[str, Any]) -> Principal:
    """The principal in an authorizer's context; API Gateway adds fields of its own to that of a WebSocket."""
    said = {name: context[name] for name in _FIELDS if context.get(name) is not None}
    said["by_ticket"] = str(said.get("by_ticket", "")).lower() == _TRUE
    return msgspec.convert(said, Principal)


class Callers:
    """Finds the caller of an event."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def identify(self, event: Mapping[str, Any]) -> Principal | None:
        """The caller of an HTTP API event (payload 2.0); None where it shows no credential, or one that is refused.

        Raises `KeysUnavailable` and `StoreUnavailable` when that cannot be said now.
        """
        try:
            return self.caller(event)
        except CredentialRefused:
            return None

    def caller(self, event: Mapping[str, Any]) -> Principal:
        """The same, but raises `CredentialRefused` with the reason."""
        request = event.get("requestContext") or {}
        method, path = method_and_path(event)
        authorizer = request.get("authorizer") or {}
        if authorizer.get("lambda"):
            found = principal_from(authorizer["lambda"])
        elif authorizer.get("iam"):
            found = self._credentials.of_iam(str(authorizer["iam"].get("userArn")))
        else:
            return self._credentials.authenticate(*shown(event), method=method, path=path)
        # The authorizer's answer may have been kept, and for another route.
        check_reach(found, method, path)
        return found

    def connection(self, event: Mapping[str, Any]) -> Principal:
        """The caller of a WebSocket's event (`$connect`). Raises as `caller` does."""
        authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
        if "principal_id" in authorizer:
            return principal_from(authorizer)
        return self._credentials.authenticate_connection(*shown(event))


def shown(event: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Headers by lower-case name, and the query."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    query = {str(name): str(value) for name, value in (event.get("queryStringParameters") or {}).items()}
    return headers, query


def method_and_path(event: Mapping[str, Any]) -> tuple[str, str]:
    """Of an HTTP API event: the path without the stage that stands before it where the API has a named one."""
    http = (event.get("requestContext") or {}).get("http") or {}
    path = str(event.get("rawPath") or http.get("path") or "")
    stage = (event.get("requestContext") or {}).get("stage")
    if stage and stage != "$default":
        path = path.removeprefix(f"/{stage}") if path.startswith(f"/{stage}/") else path
    return str(http.get("method") or ""), path


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
