"""Verbs around tenants: add, list, suspend, resume, erase."""

from typing import Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Api, Endpoint, Json, Profile, Stage, StageName

tenants = typer.Typer(no_args_is_help=True, help="Register tenants, list them, shut one out, erase one.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(tenants, name="tenants")


@tenants.command()
def add(
    tenant: Annotated[list[str], typer.Argument(help="Tenant ids: 1-64 of A-Z a-z 0-9 . _ -")],
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Register tenants; one that is there already stays as it is. Ends with status 1 when one of them is not active.

    \b
    Example:
      pushlane tenants add atlas birch
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.tenants import ACTIVE, add_tenant, tenant_of

    target = connect(stage, profile, endpoint)
    added = {tenant_id: add_tenant(target.store, tenant_id, now_ms()) for tenant_id in tenant}
    found = {tenant_id: tenant_of(target.store, tenant_id) for tenant_id in added}
    states = {tenant_id: None if one is None else one.status for tenant_id, one in found.items()}
    if json:
        output.as_json([{"tenant_id": one, "added": new, "status": states[one]} for one, new in added.items()])
    else:
        for tenant_id, new in added.items():
            output.line(f"{tenant_id}: {_registered(tenant_id, states[tenant_id], new=new)}")
    if any(status != ACTIVE for status in states.values()):
        raise typer.Exit(1)


@tenants.command("list")
def list_all(
    json: Json = False, stage: Stage = StageName.LOCAL, profile: Profile = None, endpoint: Endpoint = None
) -> None:
    """List the registered tenants.

    \b
    Example:
      pushlane tenants list --stage dev
    """
    from pushlane.cli.target import connect
    from pushlane.client.tenants import all_tenants

    found = all_tenants(connect(stage, profile, endpoint).store)
    if json:
        output.as_json(found)
    else:
        output.table("Tenants", ("tenant", "status"), [(one.tenant_id, one.status) for one in found])


@tenants.command()
def suspend(
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Shut a tenant out: nothing of it is taken, its keys are refused; what is accepted goes on.

    \b
    Example:
      pushlane tenants suspend atlas --stage prod
    """
    from pushlane.client.tenants import SUSPENDED

    _set(tenant, SUSPENDED, (stage, profile, endpoint), json=json)


@tenants.command()
def resume(
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Let a suspended tenant in again.

    \b
    Example:
      pushlane tenants resume atlas --stage prod
    """
    from pushlane.client.tenants import ACTIVE

    _set(tenant, ACTIVE, (stage, profile, endpoint), json=json)


@tenants.command()
def erase(
    tenant: Annotated[str, typer.Argument(help="The tenant to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Yes, all of it, for good.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until its running tasks have ended.")] = 600.0,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Erase a tenant: shut it out, cancel what lives, and remove all that it has.

    That is its tasks, results, events, schedules, keys and everything else in tables and bucket; not what lies in
    queues for a while, in logs and in backups (docs/trust.md). Stop it at any time and start it again. With --api, by
    an administrator's key, the tenant is shut out for good, and nothing is removed until this is run without it: the
    function behind the API has no rights to go through whole tables.

    \b
    Examples:
      pushlane tenants erase atlas --stage prod
      pushlane tenants erase atlas --yes --api https://api.example.com
    """
    if not yes:
        _ask(tenant, json=json)
    if api is not None:
        _begin_erasing(tenant, api, json=json)
        return
    from pushlane.cli.erasing import erase_tenant
    from pushlane.cli.target import connect

    erase_tenant(connect(stage, profile, endpoint), tenant, timeout, json=json)


def _begin_erasing(tenant_id: str, api: str, *, json: bool) -> None:
    from pushlane.cli.over_http import api_client

    with api_client(api) as client:
        begun = client.begin_erasing(tenant_id)
    if json:
        output.as_json(begun)
    else:
        output.line(f"{tenant_id}: {begun.status}: shut out for good; `pushlane tenants erase` removes what it has")


def _set(tenant_id: str, status: str, where: tuple[StageName, str | None, str | None], *, json: bool) -> None:
    from pushlane.cli.target import connect
    from pushlane.client.tenants import set_status

    changed = set_status(connect(*where).store, tenant_id, status)
    if changed is None:
        hint = "is not registered, or is being erased: see `pushlane tenants list`"
        raise typer.BadParameter(f"{tenant_id!r} {hint}", param_hint="TENANT")
    if json:
        output.as_json(changed)
    else:
        output.line(f"{tenant_id}: {changed.status}; every function knows within a second")


def _registered(tenant_id: str, status: str | None, *, new: bool) -> str:
    """What has become of it; one that is there need not be one that may submit."""
    match status:
        case "erasing":
            return f"is being erased: add it again when `pushlane tenants erase {tenant_id}` has ended"
        case "suspended":
            return "was there already, and is suspended: nothing of it is taken until an operator lets it in again"
        case None:
            return "was erased just now: add it again"
        case _:
            return "registered" if new else "was there already"


def _ask(tenant: str, *, json: bool) -> None:
    hint = "what is erased is gone: repeat with --yes"
    if json:
        raise typer.BadParameter(hint, param_hint="--yes")
    typed: str = typer.prompt(f"All of tenant {tenant} will be gone. Type its name", default="", show_default=False)
    if typed != tenant:
        raise typer.BadParameter(f"{typed!r} is not {tenant!r}, so nothing was done; or {hint}", param_hint="--yes")
