"""Verbs around tenants: add, list, erase."""

from typing import Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

tenants = typer.Typer(no_args_is_help=True, help="Register tenants, list them, and erase one.")


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
    """Register tenants; one that is there already stays as it is.

    \b
    Example:
      pushlane tenants add atlas birch
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.tenants import add_tenant

    target = connect(stage, profile, endpoint)
    added = {tenant_id: add_tenant(target.store, tenant_id, now_ms()) for tenant_id in tenant}
    if json:
        output.as_json([{"tenant_id": tenant_id, "added": new} for tenant_id, new in added.items()])
        return
    for tenant_id, new in added.items():
        output.line(f"{tenant_id}: {'registered' if new else 'was there already'}")


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
def erase(
    tenant: Annotated[str, typer.Argument(help="The tenant to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Yes, all of it, for good.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until its running tasks have ended.")] = 600.0,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Erase a tenant: shut it out, cancel what lives, and remove all that it has.

    That is its tasks, results, events, schedules, keys and everything else in tables and bucket; not what lies in
    queues for a while, in logs and in backups (docs/trust.md). Stop it at any time and start it again.

    \b
    Example:
      pushlane tenants erase atlas --stage prod
    """
    from pushlane.cli.erasing import erase_tenant
    from pushlane.cli.target import connect

    if not yes:
        _ask(tenant, json=json)
    erase_tenant(connect(stage, profile, endpoint), tenant, timeout, json=json)


def _ask(tenant: str, *, json: bool) -> None:
    hint = "what is erased is gone: repeat with --yes"
    if json:
        raise typer.BadParameter(hint, param_hint="--yes")
    typed: str = typer.prompt(f"All of tenant {tenant} will be gone. Type its name", default="", show_default=False)
    if typed != tenant:
        raise typer.BadParameter(f"{typed!r} is not {tenant!r}, so nothing was done; or {hint}", param_hint="--yes")
