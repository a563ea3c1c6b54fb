"""Which pool and agent a call is about, and whether its credential speaks for them."""

from pushlane.api.access import caller
from pushlane.api.operations import Request
from pushlane.api.problems import forbidden, unknown
from pushlane.model.principal import Principal, Role
from pushlane.model.task import DEFAULT_POOL


def pool_of(request: Request) -> str:
    """The pool that the call is about; raises 403 for one that the credential does not speak for."""
    principal, said = caller(request), request.query.pool
    if principal.role is not Role.AGENT:
        if not principal.of_installation:
            raise forbidden("agents belong to the installation: use a credential of it, or an agent's own")
        return said or DEFAULT_POOL
    if said not in (None, principal.pool) or principal.pool is None:
        raise forbidden("the credential speaks for its own pool only: leave `pool` out")
    return principal.pool


def agent_of_path(request: Request) -> str:
    """The agent that the path names; an agent's credential that is bound to another one knows of no such agent."""
    agent_id = request.path["agent_id"]
    if caller(request).agent_id not in (None, agent_id):
        raise unknown("agent")
    return agent_id


def require_all_tenants(principal: Principal) -> None:
    if principal.tenant_id is not None:
        raise forbidden("a credential of one tenant cannot take other tenants' tasks: give the agent one of the pool")
