"""The installation for its operators: tenants, policy, shared resources, pools."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pushlane.api.access import caller
from pushlane.api.operations import ADMINS, OPERATORS, Operation, Owned, Request, Response
from pushlane.api.pools import PoolView, pool_views
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import FieldError, Problem, conflict, invalid, unknown
from pushlane.client.policies import PolicyRevision, PolicyUnknown, change_policy, policy_of
from pushlane.client.resources import ResourceState, resources
from pushlane.client.tenants import (
    ACTIVE,
    SUSPENDED,
    Tenant,
    add_tenant,
    all_tenants,
    begin_erasing,
    set_status,
    tenant_of,
)
from pushlane.model.ids import Identifier
from pushlane.model.policy_document import InvalidPolicy
from pushlane.state.policies import PolicyMoved
from pushlane.state.pools import wake_after_policy

_TAG: Final = "admin"
_IF_MATCH: Final = "if-match"
_ETAG: Final = re.compile(r'^"?(\d{1,9})"?$')


class TenantBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant to register."""

    tenant_id: Identifier


class TenantChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`suspended`: nothing of it is taken any more, and its credentials are refused; what is accepted goes on."""

    status: Literal["active", "suspended"]


class Tenants(Struct, frozen=True, kw_only=True):
    """Every registered tenant, by id."""

    tenants: tuple[Tenant, ...]


class Resources(Struct, frozen=True, kw_only=True):
    """Every shared resource of the policy, with what is used now."""

    resources: tuple[ResourceState, ...]


class Pools(Struct, frozen=True, kw_only=True):
    """Every pool that has, or had, an agent."""

    pools: tuple[PoolView, ...]


class PolicyQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`revision`: an earlier one; without it the current one."""

    revision: Annotated[int, Meta(ge=0, le=10**9)] | None = None


def list_tenants(ports: ApiPorts, _request: Request) -> Response:
    return Response(body=Tenants(tenants=all_tenants(ports.store)))


def register_tenant(ports: ApiPorts, request: Request) -> Response:
    tenant_id = request.body.tenant_id
    made = add_tenant(ports.store, tenant_id, request.now_ms)
    return Response(status=201 if made else 200, body=tenant_of(ports.store, tenant_id))


def change_tenant(ports: ApiPorts, request: Request) -> Response:
    status = ACTIVE if request.body.status == ACTIVE else SUSPENDED
    changed = set_status(ports.store, request.path["tenant_id"], status)
    if changed is None:
        raise unknown("tenant")
    return Response(body=changed)


def begin_erasing_tenant(ports: ApiPorts, request: Request) -> Response:
    """An API function has no rights to go through whole tables: it shuts out, and an operator's command removes."""
    begun = begin_erasing(ports.store, request.path["tenant_id"])
    if begun is None:
        raise unknown("tenant")
    return Response(status=202, body=begun)


def show_policy(ports: ApiPorts, request: Request) -> Response:
    try:
        found = policy_of(ports.store, request.query.revision)
    except PolicyUnknown as error:
        raise unknown("policy") from error
    return _policy(found)


def replace_policy(ports: ApiPorts, request: Request) -> Response:
    """The policy in the body, if the revision that it was made from is still the current one."""
    expected = _expected(request)
    document, now_ms = msgspec.json.encode(request.body), request.now_ms
    said_by = f"api:{caller(request).principal_id}"
    try:
        made = change_policy(ports.store, document, changed_by=said_by, now_ms=now_ms, expect_revision=expected)
    except InvalidPolicy as error:
        refused = FieldError(field=error.field, reason=error.reason, code="invalid_policy")
        raise Problem(422, "invalid-policy", f"{error.field}: {error.reason}", errors=[refused]) from error
    except PolicyMoved as error:
        raise conflict("policy-moved", error.reason) from error
    wake_after_policy(ports.store, ports.sender, ports.turn.wakeups_queue_url, now_ms)
    return _policy(made)


def _expected(request: Request) -> int:
    found = _ETAG.match(request.headers.get(_IF_MATCH, ""))
    if found is None:
        reason = 'say the revision that the policy was made from, as `If-Match: "7"` (its ETag); "0" where none was set'
        raise invalid(f"header.{_IF_MATCH}", reason)
    return int(found[1])


def _policy(found: PolicyRevision) -> Response:
    return Response(body=found, headers={"etag": f'"{found.revision}"'})


def list_resources(ports: ApiPorts, request: Request) -> Response:
    found = resources(ports.store, ports.turn.policies.current(), request.now_ms)
    return Response(body=Resources(resources=found))


def list_pools(ports: ApiPorts, _request: Request) -> Response:
    return Response(body=Pools(pools=pool_views(ports.store)))


OPERATIONS: Final = (
    Operation(
        operation_id="listTenants",
        method="GET",
        path="/v1/tenants",
        roles=ADMINS,
        of_installation=True,
        summary="Every registered tenant.",
        run=list_tenants,
        responses={200: Tenants},
        tag=_TAG,
    ),
    Operation(
        operation_id="addTenant",
        method="POST",
        path="/v1/tenants",
        roles=ADMINS,
        of_installation=True,
        summary="Register a tenant; one that is there already stays as it is.",
        run=register_tenant,
        body=TenantBody,
        responses={200: Tenant, 201: Tenant},
        tag=_TAG,
    ),
    Operation(
        operation_id="changeTenant",
        method="PATCH",
        path="/v1/tenants/{tenant_id}",
        roles=ADMINS,
        of_installation=True,
        summary="Suspend a tenant, or let it in again.",
        run=change_tenant,
        body=TenantChange,
        responses={200: Tenant},
        owns=Owned.TENANT,
        tag=_TAG,
    ),
    Operation(
        operation_id="eraseTenant",
        method="DELETE",
        path="/v1/tenants/{tenant_id}",
        roles=ADMINS,
        of_installation=True,
        summary="Shut a tenant out for good; `pushlane tenants erase` then removes all that it has.",
        run=begin_erasing_tenant,
        responses={202: Tenant},
        owns=Owned.TENANT,
        tag=_TAG,
    ),
    Operation(
        operation_id="getPolicy",
        method="GET",
        path="/v1/policy",
        roles=OPERATORS,
        of_installation=True,
        summary="The policy, with its revision as the ETag.",
        run=show_policy,
        query=PolicyQuery,
        responses={200: PolicyRevision},
        problems=frozenset({404}),
        tag=_TAG,
    ),
    Operation(
        operation_id="setPolicy",
        method="PUT",
        path="/v1/policy",
        roles=ADMINS,
        of_installation=True,
        summary="Set the policy, if the revision in `If-Match` is still the current one.",
        run=replace_policy,
        body=dict[str, Any],
        responses={200: PolicyRevision},
        problems=frozenset({409}),
        headers={_IF_MATCH: "The revision that the policy was made from."},
        tag=_TAG,
    ),
    Operation(
        operation_id="listResources",
        method="GET",
        path="/v1/resources",
        roles=OPERATORS,
        of_installation=True,
        summary="Shared resources: what the policy allows, and what is used now.",
        run=list_resources,
        responses={200: Resources},
        tag=_TAG,
    ),
    Operation(
        operation_id="listPools",
        method="GET",
        path="/v1/pools",
        roles=OPERATORS,
        of_installation=True,
        summary="Pools: their agents, and how much waits in them.",
        run=list_pools,
        responses={200: Pools},
        tag=_TAG,
    ),
)
