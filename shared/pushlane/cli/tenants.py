"""Verbs around tenants: add, list."""

from typing import Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

tenants = typer.Typer(no_args_is_help=True, help="Register tenants and list them.")


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
