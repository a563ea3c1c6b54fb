"""Who may reach what: roles, the tenant of the credential, and ids that are foreign and therefore unknown."""

import re
from typing import Final

from pushlane.api.operations import Operation, Request
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, forbidden, invalid, unauthenticated, unknown
from pushlane.model.ids import ID_PATTERN
from pushlane.model.principal import Principal
from pushlane.ports import Attributes
from pushlane.state import keys
from pushlane.state.items import text
from pushlane.state.workflows import WorkflowRow, load_row

IDENTIFIER: Final = re.compile(ID_PATTERN)


def admit(operation: Operation, principal: Principal | None) -> None:
    """Raises 401 where a credential is missing, 403 where its role may not call the operation."""
    if operation.public:
        return
    if principal is None:
        raise unauthenticated()
    if principal.role not in operation.roles:
        raise forbidden()
    if operation.of_installation and not principal.of_installation:
        raise forbidden("the credential is bound to a tenant, and this operation is about the whole installation")


def caller(request: Request) -> Principal:
    """The principal of an operation that is not public."""
    if request.principal is None:
        raise unauthenticated()
    return request.principal


def scope_of(request: Request) -> str | None:
    """The tenant whose things the call may reach; None for all, when the installation's own names none."""
    principal = caller(request)
    check_tenant(principal, request.tenant)
    return request.tenant if principal.tenant_id is None else principal.tenant_id


def check_tenant(principal: Principal | None, tenant_id: str | None) -> None:
    """Raises 403 where a credential of one tenant names another. Before anything is looked up: else the answer to a
    thing that is there would differ from that to an unknown one.
    """
    if principal is not None and principal.tenant_id is not None and tenant_id not in (None, principal.tenant_id):
        raise forbidden("the credential speaks for its own tenant only: leave `tenant` out")


def tenant_of(request: Request) -> str:
    """The tenant that the call is for; raises 422 when a principal of the installation does not name one."""
    tenant_id = scope_of(request)
    if tenant_id is None:
        raise invalid("query.tenant", "this credential belongs to no tenant: name the tenant", "no_tenant")
    return tenant_id


def active_tenant_of(ports: ApiPorts, request: Request) -> str:
    """The tenant that submits; raises 404 or 403 when there is none of this id that may."""
    tenant_id = tenant_of(request)
    if tenant_id in ports.router.tenants.active():
        return tenant_id
    if caller(request).tenant_id is None:
        raise unknown("tenant")
    raise Problem(403, "tenant-not-active", "the credential's tenant is suspended or removed")


def owned(request: Request, tenant_id: str, what: str) -> str:
    """The tenant of a thing that was found; raises 404, as for an unknown one, where it is not the caller's."""
    if scope_of(request) not in (None, tenant_id):
        raise unknown(what)
    return tenant_id


def owned_task(ports: ApiPorts, request: Request, name: str = "task_id") -> Attributes:
    """The stored task that the path names; raises 404 for one that is not there or not the caller's."""
    key = keys.task_key(request.path[name])
    found = ports.store.get([key]).get(key)
    if found is None or "status" not in found.attributes:
        raise unknown("task")
    owned(request, text(found.attributes, "tenant_id"), "task")
    return found.attributes


def owned_workflow(ports: ApiPorts, request: Request) -> WorkflowRow:
    """The workflow that the path names; raises 404 for one that is not there or not the caller's."""
    row = load_row(ports.store, request.path["workflow_id"])
    if row is None:
        raise unknown("workflow")
    owned(request, row.accepted.tenant_id, "workflow")
    return row
