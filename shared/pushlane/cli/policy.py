"""Verbs around the policy: get, set, validate, history."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

REFUSED: Final = 2
STDIN: Final = "-"

policy = typer.Typer(no_args_is_help=True, help="Look at the policy, check one, set one. No deploy is needed.")

Source = Annotated[str, typer.Argument(metavar="FILE", help="A JSON document, - is stdin; see docs/policy.md.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(policy, name="policy")


@policy.command()
def get(
    revision: Annotated[int | None, typer.Option(min=0, help="An earlier one; 0 is the defaults.")] = None,
    effective: Annotated[bool, typer.Option("--effective", help="Fill in every default.")] = False,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Print the policy as a document that `set` takes: changed and set again, it replaces just this revision.

    \b
    Examples:
      pushlane policy get > policy.json
      pushlane policy get --revision 3 --effective --json
    """
    from pushlane.cli.target import connect
    from pushlane.client.policies import policy_of

    found = policy_of(connect(stage, profile, endpoint).store, revision)
    said = {"revision": found.revision} | (_effective(found.policy) if effective else found.policy)
    if json:
        output.as_json({"changed_at_ms": found.changed_at_ms, "changed_by": found.changed_by, "policy": said})
        return
    output.note(f"revision {found.revision}: " + _told(found.changed_at_ms, found.changed_by))
    output.as_json(said)


@policy.command("set")
def set_(
    source: Source,
    expect_revision: Annotated[
        int | None, typer.Option(min=0, help="Refuse unless this is current; the default is what the document says.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who sets it; the default is your user name.")] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Set the policy; routers go by it within a second. A refused one (exit status 2) leaves the old one as it is.

    \b
    Examples:
      pushlane policy set policy.json
      pushlane policy set - --expect-revision 3 --by release-42 < policy.json
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.policies import change_policy
    from pushlane.model.policy_document import InvalidPolicy
    from pushlane.state.policies import PolicyMoved

    document = _read(source)
    target = connect(stage, profile, endpoint)
    store = target.store
    try:
        made = change_policy(store, document, changed_by=by or user(), now_ms=now_ms(), expect_revision=expect_revision)
    except InvalidPolicy as error:
        _refuse(error.field, error.reason, json=json, stays=True)
    except PolicyMoved as error:
        _refuse("$.revision", error.reason, json=json, stays=True)
    target.wake_after_policy()
    if json:
        output.as_json({"revision": made.revision, "changed_at_ms": made.changed_at_ms, "changed_by": made.changed_by})
    else:
        output.line(f"policy revision {made.revision} is set; routers go by it within a second")


@policy.command()
def validate(source: Source, json: Json = False) -> None:
    """Check a policy without setting it and without an installation; exit status 2 when it would be refused.

    \b
    Example:
      pushlane policy validate policy.json --json
    """
    from pushlane.client.policies import check_policy_document
    from pushlane.model.policy_document import InvalidPolicy

    try:
        check_policy_document(_read(source))
    except InvalidPolicy as error:
        _refuse(error.field, error.reason, json=json, stays=False)
    if json:
        output.as_json({"valid": True})
    else:
        output.line(f"{source}: a valid policy")


@policy.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List the revisions of the policy, newest first.

    \b
    Example:
      pushlane policy history --limit 5
    """
    from pushlane.cli.target import connect
    from pushlane.client.policies import policy_revisions

    found = policy_revisions(connect(stage, profile, endpoint).store, limit)
    if json:
        output.as_json(found)
        return
    rows = [(one.revision, _time(one.changed_at_ms), one.changed_by, ", ".join(one.policy)) for one in found]
    output.table("Policy", ("revision", "set at", "by", "says"), rows)


def _effective(said: dict[str, object]) -> dict[str, object]:
    import msgspec

    from pushlane.model.policy_document import with_every_default

    whole: dict[str, object] = msgspec.to_builtins(with_every_default(msgspec.json.encode(said)))
    return {name: value for name, value in whole.items() if name != "revision"}


def user() -> str:
    """Who runs the command, as this machine says."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"


def _read(source: str) -> bytes:
    if source == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{source} cannot be read: {error.strerror}", param_hint="FILE") from error


def _refuse(field: str, reason: str, *, json: bool, stays: bool) -> NoReturn:
    if json:
        output.as_json({"valid": False, "field": field, "reason": reason})
    output.note(f"policy refused: {field}: {reason}" + ("\nThe current policy stays as it is." if stays else ""))
    raise typer.Exit(REFUSED)


def _told(changed_at_ms: int | None, changed_by: str | None) -> str:
    return (
        "no policy was ever set, these are the defaults"
        if changed_at_ms is None
        else (f"set at {_time(changed_at_ms)} by {changed_by}")
    )


def _time(at_ms: int | None) -> str:
    return "-" if at_ms is None else datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
