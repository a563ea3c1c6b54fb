"""Verbs around completion callbacks: set, show, rotate, remove."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName
from pushlane.model.callback import CallbackEvent

if TYPE_CHECKING:
    from pushlane.cli.target import Target
    from pushlane.model.callback import CallbackSettings

callbacks = typer.Typer(
    no_args_is_help=True, help="Where a tenant hears of the ends of its tasks, and how it is signed."
)

Tenant = Annotated[str, typer.Option(help="Whose callbacks.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(callbacks, name="callbacks")


@callbacks.command("set")
def set_(
    url: Annotated[str, typer.Argument(help="An https URL with a public host.")],
    tenant: Tenant,
    event: Annotated[list[CallbackEvent] | None, typer.Option(help="Only these; give it again for more.")] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Tell the ends of the tenant's tasks to a URL, unless a task names another one. Shows the secret to verify with.

    \b
    Examples:
      pushlane callbacks set https://hooks.example.com/pushlane --tenant atlas
      pushlane callbacks set https://hooks.example.com/bad --tenant atlas --event TaskFailed --event TaskDeadLettered
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.model.callback import Callback, require_url
    from pushlane.model.target_url import TargetRules
    from pushlane.state.callbacks import set_default

    require_url(url, TargetRules(allow_local=stage is StageName.LOCAL), "URL")
    target = connect(stage, profile, endpoint)
    kid, _ = target.keyring().signing()
    default = Callback(url=url, events=tuple(event) if event else None)
    _show(target, tenant, set_default(target.store, tenant, default, kid, now_ms()), json=json)


@callbacks.command()
def show(
    tenant: Tenant,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Show what is set, with the secret.

    \b
    Example:
      pushlane callbacks show --tenant atlas --json
    """
    from pushlane.cli.target import connect
    from pushlane.state.callbacks import callback_settings

    target = connect(stage, profile, endpoint)
    _show(target, tenant, callback_settings(target.store, tenant), json=json)


@callbacks.command()
def rotate(
    tenant: Tenant,
    overlap_hours: Annotated[float, typer.Option(min=0, max=720, help="How long the secret before signs along.")] = 24,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Make the next secret. Until the overlap is over, deliveries carry the signatures of both.

    \b
    Example:
      pushlane callbacks rotate --tenant atlas --overlap-hours 72
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.state.callbacks import rotate_secret

    target = connect(stage, profile, endpoint)
    kid, _ = target.keyring().signing()
    made = rotate_secret(target.store, tenant, kid, now_ms(), round(overlap_hours * 3_600))
    _show(target, tenant, made, json=json)


@callbacks.command()
def remove(
    tenant: Tenant,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Tell nobody, unless a task names a URL of its own. The secret stays.

    \b
    Example:
      pushlane callbacks remove --tenant atlas
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.state.callbacks import callback_settings, set_default

    target = connect(stage, profile, endpoint)
    before = callback_settings(target.store, tenant)
    if before is not None and before.default is not None:
        set_default(target.store, tenant, None, before.secret.kid, now_ms())
    if json:
        output.as_json({"tenant_id": tenant, "default": None})
    else:
        output.line(f"{tenant}: nobody is told, unless a task names a URL")


def _show(target: "Target", tenant: str, settings: "CallbackSettings | None", *, json: bool) -> None:
    from pushlane.api.callbacks import view_of
    from pushlane.cli.target import now_ms

    view = view_of(target.keyring(), tenant, settings, now_ms())
    if json:
        output.as_json(view)
        return
    told = "nobody" if view.default is None else view.default.url
    events = "" if view.default is None or view.default.events is None else f" ({', '.join(view.default.events)})"
    output.line(f"{tenant}: {told}{events}\nsecret {view.generation}: {view.secret or 'none; rotate makes one'}")
