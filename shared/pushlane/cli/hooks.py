"""Verbs around inbound webhooks: create, list, show, rotate, remove."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.cli.target import Target
    from pushlane.model.hook import Hook

hooks = typer.Typer(no_args_is_help=True, help="Addresses to which providers send signed events that become tasks.")

HookId = Annotated[str, typer.Argument(metavar="HOOK", help="Its id, as `pushlane hooks list` shows it.")]
Tenant = Annotated[str, typer.Option(help="Whose hooks.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(hooks, name="hooks")


@hooks.command()
def create(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A JSON document, - is stdin; see docs/webhooks.md.")],
    tenant: Tenant,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Make a hook, if its sample becomes a task. Shows the secret for the provider.

    \b
    Example:
      pushlane hooks create reviews.json --tenant atlas
    """
    import uuid

    from pushlane.api.hook_making import HookBody, make_hook
    from pushlane.api.strict import decode
    from pushlane.cli.target import connect, now_ms

    said: HookBody = decode(_read(source), HookBody)
    target = connect(stage, profile, endpoint)
    _require_tenant(target, tenant)
    made = make_hook(target.store, target.keyring(), tenant, said, f"hk-{uuid.uuid4().hex}", now_ms())
    _show(target, made, json=json)


@hooks.command("list")
def list_all(
    tenant: Tenant,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List a tenant's hooks.

    \b
    Example:
      pushlane hooks list --tenant atlas
    """
    from pushlane.cli.target import connect
    from pushlane.state.hooks import hooks_of

    found = hooks_of(connect(stage, profile, endpoint).store, tenant)
    if json:
        output.as_json([{"hook_id": one.hook_id, "name": one.data.name, "scheme": one.data.scheme} for one in found])
        return
    output.table("Hooks", ("hook", "name", "scheme"), [(one.hook_id, one.data.name, one.data.scheme) for one in found])


@hooks.command()
def show(
    hook_id: HookId,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Show a hook with its secret.

    \b
    Example:
      pushlane hooks show hk-0123456789abcdef0123456789abcdef --json
    """
    from pushlane.cli.target import connect

    target = connect(stage, profile, endpoint)
    _show(target, _found(target, hook_id), json=json)


@hooks.command()
def rotate(
    hook_id: HookId,
    overlap_hours: Annotated[float, typer.Option(min=0, max=720, help="How long the secret before stays good.")] = 24,
    secret_file: Annotated[Path | None, typer.Option(help="Holds the provider's own new secret; - is stdin.")] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Give a hook its next secret.

    \b
    Example:
      pushlane hooks rotate hk-0123456789abcdef0123456789abcdef --overlap-hours 1
    """
    from pushlane.api.hook_making import HookRotation, replace_secret
    from pushlane.cli.target import connect, now_ms

    given = None if secret_file is None else _read(str(secret_file)).decode().strip()
    target = connect(stage, profile, endpoint)
    rotation = HookRotation(overlap_seconds=round(overlap_hours * 3_600), secret=given)
    made = replace_secret(target.store, target.keyring(), _found(target, hook_id), rotation, now_ms())
    _show(target, made, json=json)


@hooks.command()
def remove(
    hook_id: HookId,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Remove a hook: from now on nothing that is sent to it becomes a task.

    \b
    Example:
      pushlane hooks remove hk-0123456789abcdef0123456789abcdef
    """
    from pushlane.cli.target import connect
    from pushlane.state.hooks import remove_hook

    target = connect(stage, profile, endpoint)
    remove_hook(target.store, _found(target, hook_id))
    if json:
        output.as_json({"hook_id": hook_id, "removed": True})
    else:
        output.line(f"{hook_id}: removed")


def _found(target: "Target", hook_id: str) -> "Hook":
    from pushlane.state.hooks import find_hook

    found = find_hook(target.store, hook_id)
    if found is None:
        raise typer.BadParameter(f"no hook {hook_id!r}: see `pushlane hooks list`", param_hint="HOOK")
    return found


def _require_tenant(target: "Target", tenant: str) -> None:
    from pushlane.client.tenants import ACTIVE, all_tenants

    if (tenant, ACTIVE) not in {(one.tenant_id, one.status) for one in all_tenants(target.store)}:
        raise typer.BadParameter(f"no active tenant {tenant!r}: `pushlane tenants add` it", param_hint="--tenant")


def _show(target: "Target", hook: "Hook", *, json: bool) -> None:
    from pushlane.api.hook_making import view_of
    from pushlane.cli.target import now_ms

    view = view_of(target.keyring(), hook, now_ms())
    if json:
        output.as_json(view)
        return
    secret = view.secret or "the provider's own"
    output.line(f"{view.hook_id} of {view.tenant_id}: POST {view.path}, {hook.data.scheme}\nsecret: {secret}")


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{source} cannot be read: {error.strerror}", param_hint="FILE") from error
