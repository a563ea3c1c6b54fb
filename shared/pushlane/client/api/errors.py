"""Problem documents of the API as typed errors: what went wrong, whether a repeat makes sense, what to do next."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.client.api.exchange import Answer
from pushlane.model.errors import PushlaneError

_TYPE_PREFIX: Final = "urn:pushlane:problem:"
_QUOTED_MAX: Final = 300


class FieldError(Struct, frozen=True, kw_only=True):
    """One value that is wrong. `field`: its JSON path in what was sent (`$.tier`), or `query.<name>`."""

    field: str = "$"
    reason: str = ""
    code: str = "invalid"


class ApiError(PushlaneError):
    """Root of every refusal. `status` is 0 when there was no answer. `code` names the kind for programs; `request_id`
    is what to tell the operator.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        request_id: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        named = f" (request {request_id})" if request_id else ""
        super().__init__(f"{status or 'no answer'} {code}: {detail}{named}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds


class Unauthorized(ApiError):
    """401: the credential is missing, unreadable, expired or revoked. Get a new one."""


class Forbidden(ApiError):
    """403: the credential's role may not do this."""


class NotFound(ApiError):
    """404: there is nothing of this id that is yours."""


class Conflict(ApiError):
    """409: what is there does not allow it, as a key that was used for another body. A repeat cannot help."""


class TooLarge(ApiError):
    """413: the body is larger than the operation takes."""


class Invalid(ApiError):
    """422 (or 400): `errors` name the fields."""


class RateLimited(ApiError):
    """429: there is no room now; nothing was accepted. Come again after `retry_after_seconds`."""


class Unavailable(ApiError):
    """5xx, or no answer at all: the outcome may be unknown. The same call with the same key may be repeated."""


class DeadlineExceeded(Unavailable):
    """The call's total time was used up by retries; the last failure is its cause. It may be repeated."""


class Unexpected(ApiError):
    """An answer that this version of the client does not know."""


class _Problem(Struct, frozen=True):
    type: str = ""
    title: str = ""
    detail: str = ""
    request_id: str = ""
    errors: tuple[FieldError, ...] = ()
    retry_after_seconds: float | None = None


_KINDS: Final[Mapping[int, type[ApiError]]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: RateLimited,
}


def error_of(answer: Answer) -> ApiError:
    """The error that an answer of 400 or more is, also where it is no problem document (a gateway's own)."""
    problem = _problem(answer)
    kind = _KINDS.get(answer.status, Unavailable if answer.status >= 500 else Unexpected)
    return kind(
        answer.status,
        problem.type.removeprefix(_TYPE_PREFIX) or "unknown",
        problem.detail or problem.title or answer.body[:_QUOTED_MAX].decode(errors="replace") or "no reason given",
        errors=problem.errors,
        request_id=problem.request_id,
        retry_after_seconds=_retry_after(answer, problem),
    )


def no_answer(reason: str) -> Unavailable:
    """The error for a call that failed on its way."""
    return Unavailable(0, "no-answer", reason)


def _problem(answer: Answer) -> _Problem:
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Problem()


def _retry_after(answer: Answer, problem: _Problem) -> float | None:
    """Seconds from the header, else from the document. A header that is a date is not used by the API."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else problem.retry_after_seconds
