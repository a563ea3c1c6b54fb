"""Problem documents (RFC 9457): how every refusal of the API says what is wrong, and where."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from msgspec import Struct

from pushlane.model.errors import InvalidEvent, PushlaneError

PROBLEM: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:pushlane:problem:"
RETRY_SECONDS: Final = 1


class FieldError(Struct, frozen=True, kw_only=True):
    """One value that is wrong: `field` is a JSON path into the body (`$.tier`), `query.<name>` or `header.<name>`."""

    field: str
    reason: str
    code: str = "invalid"


class ProblemDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every refusal. `type` ends in the code that programs go by; `request_id` is the one in the logs."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: tuple[FieldError, ...] = ()
    retry_after_seconds: int | None = None


class Problem(PushlaneError):
    """An operation's refusal. `code` names the kind (`unknown-task`); `errors` the fields, where there are any;
    `retry_after_seconds` also becomes the `Retry-After` header.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_seconds = None if retry_after_seconds is None else max(1, math.ceil(retry_after_seconds))
        self.headers = dict(headers or {})

    def document(self, instance: str, request_id: str) -> ProblemDocument:
        """The problem as answered to the request `request_id` for the path `instance`."""
        return ProblemDocument(
            type=f"{TYPE_PREFIX}{self.code}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            instance=instance,
            request_id=request_id,
            errors=self.errors,
            retry_after_seconds=self.retry_after_seconds,
        )

    def all_headers(self) -> dict[str, str]:
        """The problem's own headers, with `retry-after` where it says when to come again."""
        if self.retry_after_seconds is None:
            return self.headers
        return {**self.headers, "retry-after": str(self.retry_after_seconds)}


def unknown(what: str) -> Problem:
    """404 for an id that is not there, or not the caller's: nothing tells the two apart. `what`: `task`, `schedule`."""
    return Problem(404, f"unknown-{what}", f"no {what} of this id is known")


def invalid(field: str, reason: str, code: str = "invalid") -> Problem:
    """422 that names one field."""
    return Problem(
        422, "invalid-request", f"{field}: {reason}", errors=[FieldError(field=field, reason=reason, code=code)]
    )


def conflict(code: str, detail: str) -> Problem:
    """409: what is there does not allow it. Repeating the same call cannot help."""
    return Problem(409, code, detail)


def forbidden(detail: str = "the credential's role may not call this operation") -> Problem:
    """403: known who calls, and not allowed."""
    return Problem(403, "forbidden", detail)


def unauthenticated() -> Problem:
    """401: no credential, or one that is unreadable, expired or revoked; which of them is not said."""
    detail = "no valid credential: send `Authorization: Bearer <API key or JWT>` or `x-api-key`"
    return Problem(401, "unauthenticated", detail, headers={"www-authenticate": 'Bearer realm="pushlane"'})


def too_many(detail: str, retry_after_seconds: float, code: str = "too-many-requests") -> Problem:
    """429: there is no room now."""
    return Problem(429, code, detail, retry_after_seconds=retry_after_seconds)


def unavailable() -> Problem:
    """503: the infrastructure did not answer; the outcome may be unknown, and the same call may be repeated."""
    detail = "the platform could not finish this now; repeat the same call, with the same idempotency key if it has one"
    return Problem(503, "unavailable", detail, retry_after_seconds=RETRY_SECONDS)


def of_event(error: InvalidEvent) -> Problem:
    """The problem that an envelope's own refusal is in a body: `$.data.tier` is `$.tier` there."""
    field = error.field.replace("$.data", "$", 1) if error.field.startswith("$.data") else error.field
    return invalid(field, error.reason, error.code)
