"""An operation of the API as a value: what it is called, who may, what it takes and answers, and what runs it.

Routing, roles, strict decoding and the OpenAPI document all read the same table (`catalogue.py`).
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from pushlane.api.ports import ApiPorts
from pushlane.model.principal import Principal, Role

BODY_BYTES_MAX: Final = 1024 * 1024
JSON: Final = "application/json"


class Owned(StrEnum):
    """What the id in a path names. A foreign one of these answers exactly like an unknown one."""

    TASK = "task"
    WORKFLOW = "workflow"
    SCHEDULE = "schedule"
    HOOK = "hook"
    CALLBACK = "callback"
    AGENT = "agent"
    ATTEMPT = "attempt"
    TENANT = "tenant"
    POOL = "pool"


class Request(Struct, frozen=True, kw_only=True):
    """One call, checked and decoded. `path`: the names in the operation's path, each of the id pattern. `query` and
    `body`: of the operation's types (None where it has none). `headers`: by lower-case name. `tenant`: the query
    parameter of this name, by which a principal of the installation says whom it speaks for (`access.tenant_of`).
    `received_at_ms`: when the gateway got it, by the gateway's clock.
    """

    principal: Principal | None
    path: Mapping[str, str]
    query: Any
    body: Any
    headers: Mapping[str, str]
    raw_body: bytes
    request_id: str
    now_ms: int
    tenant: str | None = None
    received_at_ms: int | None = None


class Response(Struct, frozen=True, kw_only=True):
    """One answer. `body` is encoded as JSON unless `content_type` says otherwise: then it is text or bytes as it is."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}
    content_type: str = JSON


class Operation(Struct, frozen=True, kw_only=True):
    """One operation. `responses`: its success answers by status, None where there is no body (or no JSON). `problems`:
    what it can answer besides, as RFC 9457 documents, beside 401, 403, 404, 413, 422 and 503 that follow from the rest
    (`openapi.problem_statuses`). `public`: it asks for no credential. `owns`: what the (last) id in the path names.
    `opaque`: the body is not JSON of ours and comes as `raw_body`. `of_installation`: not for who is bound to a tenant.
    `media`: the content type of an answer that is not (or not only) JSON, by status. `headers`: those that it reads.
    """

    operation_id: str
    method: str
    path: str
    roles: frozenset[Role]
    summary: str
    run: Callable[[ApiPorts, Request], Response]
    body: Any = None
    query: type[Struct] | None = None
    responses: Mapping[int, Any]
    problems: frozenset[int] = frozenset()
    public: bool = False
    owns: Owned | None = None
    opaque: bool = False
    of_installation: bool = False
    body_bytes_max: int = BODY_BYTES_MAX
    tag: str = ""
    description: str = ""
    media: Mapping[int, str] = {}
    headers: Mapping[str, str] = {}


PRODUCERS: Final = frozenset({Role.PRODUCER, Role.OPERATOR, Role.ADMIN})
OPERATORS: Final = frozenset({Role.OPERATOR, Role.ADMIN})
ADMINS: Final = frozenset({Role.ADMIN})
AGENTS: Final = frozenset({Role.AGENT})
EVERYBODY: Final = frozenset(Role)
