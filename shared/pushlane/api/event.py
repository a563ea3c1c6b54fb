"""What an HTTP event of API Gateway (payload format 2.0) says, read without trust."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from pushlane.api.problems import Problem, invalid

_QUERY_FIELDS_MAX = 50


class HttpCall:
    """One call as it came. `path` is without the name of the stage."""

    def __init__(self, event: Mapping[str, Any], request_id: str) -> None:
        context = event.get("requestContext", {})
        self._event = event
        self.request_id = request_id
        epoch_ms = context.get("timeEpoch")
        self.received_at_ms = epoch_ms if isinstance(epoch_ms, int) and epoch_ms > 0 else None
        self.method = str(context.get("http", {}).get("method", "GET")).upper()
        self.path = _path(str(event.get("rawPath", "/")), str(context.get("stage", "$default")))
        self.headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}

    def query(self) -> dict[str, str]:
        """The query parameters; raises 422 for one that stands twice or is no UTF-8."""
        raw = str(self._event.get("rawQueryString") or "")
        try:
            pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX)
        except ValueError as error:
            raise invalid("query", f"cannot be read: {error}") from error
        said: dict[str, str] = {}
        for name, value in pairs:
            if name in said:
                raise invalid(f"query.{name[:80]}", "stands twice", "duplicate_key")
            said[name] = value
        return said

    def body(self, bytes_max: int) -> bytes:
        """The body; raises 413 for a larger one."""
        said = self._event.get("body") or ""
        if self._event.get("isBase64Encoded"):
            try:
                raw = base64.b64decode(said, validate=True)
            except (binascii.Error, ValueError) as error:
                raise invalid("$", "the body cannot be read: not base64", "not_json") from error
        else:
            raw = str(said).encode(errors="surrogatepass")
        if len(raw) > bytes_max:
            raise Problem(413, "too-large", f"the body has {len(raw)} bytes; at most {bytes_max} are taken here")
        return raw


def call_of(event: Mapping[str, Any], new_id: Callable[[], str]) -> HttpCall:
    """The call of an event, with API Gateway's own request id or, without one, a new one."""
    return HttpCall(event, str(event.get("requestContext", {}).get("requestId") or new_id()))


def _path(raw: str, stage: str) -> str:
    prefix = f"/{stage}/"
    return raw[len(prefix) - 1 :] if stage != "$default" and raw.startswith(prefix) else raw
