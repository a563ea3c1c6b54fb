"""The authorization matrix: for every operation, who calls it on what, and what each kind of caller is answered.

The one table that the test goes through. An operation of the catalogue that is not in it fails the test.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from pushlane.model.principal import Role


class Column(StrEnum):
    """Who calls, or on what. `OTHER`: with a good credential of another tenant (for what belongs to a pool, of another
    pool; for what is the installation's, of a tenant). `UNKNOWN` and `MALFORMED`: an id, and a credential, that does
    not exist or cannot exist.
    """

    OWN = "own"
    OTHER = "other tenant"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    REVOKED = "revoked"
    WRONG_ROLE = "wrong role"
    NO_CREDENTIAL = "no credential"


class Subject(StrEnum):
    """What an operation is called on; the world has one of atlas's of each."""

    NOTHING = "nothing"
    TASK = "task"
    DONE = "done"
    DEAD = "dead"
    WORKFLOW = "workflow"
    SCHEDULE = "schedule"
    HOOK = "hook"
    AGENT = "agent"
    PULLER = "puller"
    DISPATCHED = "dispatched"
    STARTED = "started"
    TENANT = "tenant"
    POOL = "pool"
    FILE = "file"


class Row(Struct, frozen=True, kw_only=True):
    """One operation. `expected`: the status in each column."""

    role: Role
    subject: Subject
    expected: Mapping[Column, int]
    body: Any = None
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    installation: bool = False


def _row(role: Role, subject: Subject, own: int, other: int, unknown: int, malformed: int, **more: Any) -> Row:
    """Whatever it is: an expired, revoked or missing credential is 401, a wrong role 403."""
    refused = {Column.EXPIRED: 401, Column.REVOKED: 401, Column.WRONG_ROLE: 403, Column.NO_CREDENTIAL: 401}
    said = {Column.OWN: own, Column.OTHER: other, Column.UNKNOWN: unknown, Column.MALFORMED: malformed}
    return Row(role=role, subject=subject, expected=said | refused, **more)


def _of_id(role: Role, subject: Subject, own: int, **more: Any) -> Row:
    """On something that has an id: another tenant's is not there, like one that nobody has."""
    return _row(role, subject, own, 404, 404, 404, **more)


def _of_tenant(role: Role, own: int, **more: Any) -> Row:
    """On the caller's own tenant: everybody gets its own; what is unknown or malformed is the credential."""
    return _row(role, Subject.NOTHING, own, own, 401, 401, **more)


def _of_installation(role: Role, own: int, **more: Any) -> Row:
    """On the installation: not for who belongs to a tenant."""
    return _row(role, Subject.NOTHING, own, 403, 401, 401, installation=True, **more)


def _public(subject: Subject, **expected: int) -> Row:
    """Without credentials of ours. Whatever credential is shown counts for nothing."""
    said = {Column(name.replace("_", " ")): status for name, status in expected.items()}
    return Row(role=Role.PRODUCER, subject=subject, expected=said)


P, A, OP, ADMIN = Role.PRODUCER, Role.AGENT, Role.OPERATOR, Role.ADMIN
S: Final = Subject
RUN: Final = {"runner": "r1"}
SCHEDULE: Final = {"name": "nightly", "expression": "rate(1 day)", "task": {"task_type": "echo"}}
HOOK: Final = {
    "name": "reviews",
    "scheme": "standard-webhooks",
    "template": {"task_type": "echo"},
    "sample": {"body": {}},
}
WORKFLOW: Final = {"tasks": [{"name": "a", "task_type": "echo"}]}
PULL: Final = {"capabilities": ["echo"], "slots": 2, "endpoint": {"kind": "pull"}}
URL: Final = {"url": "https://hooks.example.com/done"}

MATRIX: Final[Mapping[str, Row]] = {
    "submitTasks": _of_tenant(P, 202, body={"task_type": "echo"}),
    "listTasks": _of_tenant(P, 200),
    "getTask": _of_id(P, S.TASK, 200),
    "cancelTask": _of_id(P, S.TASK, 200),
    "explainTask": _of_id(P, S.TASK, 200),
    "getTaskTrace": _of_id(P, S.TASK, 200),
    "getTaskResult": _of_id(P, S.DONE, 200),
    "signalTask": _of_id(P, S.TASK, 202, body={"name": "answer"}),
    "submitWorkflow": _of_tenant(P, 202, body=WORKFLOW),
    "listWorkflows": _of_tenant(P, 200),
    "getWorkflow": _of_id(P, S.WORKFLOW, 200),
    "listWorkflowNodes": _of_id(P, S.WORKFLOW, 200),
    "cancelWorkflow": _of_id(P, S.WORKFLOW, 202),
    "streamTask": _of_id(P, S.DONE, 200),
    "streamWorkflow": _of_id(P, S.WORKFLOW, 200),
    "streamTenant": _of_tenant(P, 200),
    "issueStreamTicket": _of_tenant(P, 201, body={}),
    "makeSchedule": _of_tenant(P, 201, body=SCHEDULE),
    "listSchedules": _of_tenant(P, 200),
    "getSchedule": _of_id(P, S.SCHEDULE, 200),
    "changeSchedule": _of_id(P, S.SCHEDULE, 200, body=SCHEDULE),
    "removeSchedule": _of_id(P, S.SCHEDULE, 204),
    # An agent that nobody knows is a new one, and each pool has names of its own.
    "putAgent": _row(A, S.AGENT, 200, 201, 201, 404, body=PULL),
    "getAgent": _of_id(A, S.AGENT, 200),
    "listAgents": _of_tenant(A, 200),
    "heartbeatAgent": _of_id(A, S.AGENT, 200),
    "drainAgent": _of_id(A, S.AGENT, 200),
    "removeAgent": _of_id(A, S.AGENT, 200),
    "claimTasks": _of_id(A, S.PULLER, 200, body={"claim_id": "c1"}),
    "startAttempt": _of_id(A, S.DISPATCHED, 200, body=RUN),
    "checkInAttempt": _of_id(A, S.STARTED, 200, body=RUN),
    "completeAttempt": _of_id(A, S.STARTED, 200, body=RUN),
    "failAttempt": _of_id(A, S.STARTED, 200, body={**RUN, "error_type": "Broken"}),
    "yieldAttempt": _of_id(A, S.STARTED, 200, body=RUN),
    "suspendAttempt": _of_id(A, S.STARTED, 200, body={**RUN, "awaits": "answer"}),
    "stopAttempt": _of_id(A, S.STARTED, 200, body=RUN),
    "emitEvent": _of_id(A, S.STARTED, 202, body={**RUN, "number": 1, "kind": "progress"}),
    "beginWait": _of_id(A, S.STARTED, 202, body={**RUN, "number": 1}),
    "endWait": _of_id(A, S.STARTED, 202, body={**RUN, "number": 1}),
    "submitChild": _of_id(A, S.STARTED, 202, body={**RUN, "idempotency_key": "child", "task_type": "echo"}),
    "putClaim": _of_id(A, S.STARTED, 204, body={"large": True}),
    "getClaim": _of_id(A, S.STARTED, 200),
    "getCallbacks": _of_tenant(OP, 200),
    "setCallbacks": _of_tenant(OP, 200, body=URL),
    "removeCallbacks": _of_tenant(OP, 204),
    "rotateCallbackSecret": _of_tenant(OP, 200, body={}),
    # A delivery is proven by its signature: of another hook, of none, too old, of a hook that was removed, missing.
    "deliverHook": _public(
        S.HOOK, own=202, other_tenant=401, unknown=401, malformed=404, expired=401, revoked=401, wrong_role=202,
        no_credential=401,
    ),
    "makeHook": _of_tenant(OP, 201, body=HOOK),
    "listHooks": _of_tenant(OP, 200),
    "getHook": _of_id(OP, S.HOOK, 200),
    "removeHook": _of_id(OP, S.HOOK, 204),
    "rotateHookSecret": _of_id(OP, S.HOOK, 200, body={}),
    "listDeadLetters": _of_tenant(OP, 200),
    "getDeadLetter": _of_id(OP, S.DEAD, 200),
    "redriveDeadLetter": _of_id(OP, S.DEAD, 202, body={}),
    "discardDeadLetter": _of_id(OP, S.DEAD, 200, body={}),
    # No admin belongs to a tenant: whoever does has another role.
    "listTenants": _of_installation(ADMIN, 200),
    "addTenant": _of_installation(ADMIN, 201, body={"tenant_id": "cedar"}),
    "eraseTenant": _row(ADMIN, S.TENANT, 202, 403, 404, 404, installation=True),
    "changeTenant": _row(ADMIN, S.TENANT, 200, 403, 404, 404, body={"status": "suspended"}, installation=True),
    "getPolicy": _of_installation(OP, 200),
    "setPolicy": _of_installation(ADMIN, 200, body={}, headers={"if-match": '"0"'}),
    "listResources": _of_installation(OP, 200),
    "listPools": _of_installation(OP, 200),
    "getMeasures": _of_tenant(P, 200),
    "getPoolSamples": _row(OP, S.POOL, 200, 403, 404, 404, installation=True),
    "getLive": _of_installation(OP, 200),
    # Whoever is let in at all may ask who it is: no role is wrong.
    "getCaller": Row(
        role=P,
        subject=S.NOTHING,
        expected={**_of_tenant(P, 200).expected, Column.WRONG_ROLE: 200},
    ),
    "getConsole": _public(
        S.NOTHING, own=200, other_tenant=200, unknown=200, malformed=200, expired=200, revoked=200, wrong_role=200,
        no_credential=200,
    ),
    "getConsoleFile": _public(
        S.FILE, own=200, other_tenant=200, unknown=404, malformed=404, expired=200, revoked=200, wrong_role=200,
        no_credential=200,
    ),
    "getOpenApi": _public(
        S.NOTHING, own=200, other_tenant=200, unknown=200, malformed=200, expired=200, revoked=200, wrong_role=200,
        no_credential=200,
    ),
}  # fmt: skip
