"""Verbs around access: keys of programs, issuers of tokens, roles of AWS, and the ring of signing keys."""

from typing import Annotated

import typer

from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName
from pushlane.model.access_key import KeyKind
from pushlane.model.principal import Role

keys = typer.Typer(
    no_args_is_help=True, help="Make, list, replace and revoke keys; say which issuers and roles are trusted."
)
issuers = typer.Typer(no_args_is_help=True, help="Issuers of JSON Web Tokens that are trusted.")
roles = typer.Typer(no_args_is_help=True, help="AWS roles and users that may sign requests (SigV4).")
keys.add_typer(issuers, name="issuers")
keys.add_typer(roles, name="roles")

Tenant = Annotated[str | None, typer.Option(help="The tenant that it speaks for; none: the installation.")]
OfRole = Annotated[Role, typer.Option("--role", help="What it may do.")]
Pool = Annotated[str | None, typer.Option(help="Of an agent: its pool.")]
Agent = Annotated[str | None, typer.Option(help="Of an agent: this one alone.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(keys, name="keys")


@keys.command()
def create(
    tenant: Tenant = None,
    role: OfRole = Role.PRODUCER,
    kind: Annotated[KeyKind, typer.Option(help="`api` to call the API, `envelope` to sign what goes to a door.")] = (
        KeyKind.API
    ),
    pool: Pool = None,
    agent: Agent = None,
    name: Annotated[str | None, typer.Option(help="What you call it, up to 128 characters.")] = None,
    expires_days: Annotated[float | None, typer.Option(min=0.001, help="It ends after so many days.")] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Make a key. It is shown this once: its secret is not kept.

    \b
    Examples:
      pushlane keys create --tenant atlas
      pushlane keys create --tenant atlas --kind envelope --name "nightly export"
      pushlane keys create --role agent --pool gpu --expires-days 90 --stage prod
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.access_keys import NewKey

    expires_at_ms = None if expires_days is None else now_ms() + round(expires_days * 86_400_000)
    new = NewKey(
        role=role, kind=kind, tenant_id=tenant, pool=pool, agent_id=agent, name=name, expires_at_ms=expires_at_ms
    )
    Access(connect(stage, profile, endpoint), json=json).create(new)


@keys.command("list")
def list_all(
    tenant: Annotated[str | None, typer.Option(help="Only keys of this tenant.")] = None,
    installation: Annotated[bool, typer.Option("--installation", help="Only keys of no tenant.")] = False,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List keys: what they are for, whose they are, and whether they still open anything. Never their secrets.

    \b
    Examples:
      pushlane keys list
      pushlane keys list --tenant atlas --json
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    if installation and tenant is not None:
        raise typer.BadParameter("give a tenant, or --installation, not both", param_hint="--tenant")
    Access(connect(stage, profile, endpoint), json=json).list(tenant, every=tenant is None and not installation)


@keys.command()
def rotate(
    key_id: Annotated[str | None, typer.Argument(help="The key's id, as `pushlane keys list` shows it.")] = None,
    signing: Annotated[bool, typer.Option("--signing", help="The installation's own signing key.")] = False,
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the key before goes on; 0: ends now.")] = 24.0,
    keep: Annotated[int, typer.Option(min=0, help="Of --signing: older keys that still verify.")] = 2,
    even_used: Annotated[
        bool, typer.Option("--even-used", help="Of --signing: do not keep keys because secrets in use come from them.")
    ] = False,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Make a new key beside one that is in use, which then goes on for a while; or a new signing key.

    Keys of the ring that envelope keys, callbacks or hooks in use come from stay in it, but for --even-used: these have
    to be made anew then.

    \b
    Examples:
      pushlane keys rotate 0123456789abcdef --overlap-hours 48
      pushlane keys rotate --signing --stage prod
      pushlane keys rotate --signing --keep 0 --even-used
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    if signing == (key_id is not None):
        raise typer.BadParameter("name a key of `pushlane keys list`, or give --signing", param_hint="key_id")
    access = Access(connect(stage, profile, endpoint), json=json)
    if key_id is None:
        access.rotate_signing(keep, even_used=even_used)
    else:
        access.rotate(key_id, round(overlap_hours * 3_600))


@keys.command()
def revoke(
    key_id: Annotated[list[str], typer.Argument(help="Ids of keys, as `pushlane keys list` shows them.")],
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Have keys open nothing any more, from within a second on. What was accepted with them stays.

    \b
    Example:
      pushlane keys revoke 0123456789abcdef --stage prod
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    Access(connect(stage, profile, endpoint), json=json).revoke(key_id)


@issuers.command("add")
def add_issuer(
    name: Annotated[str, typer.Argument(help="What you call it: 1-24 of A-Z a-z 0-9 _ -")],
    issuer: Annotated[str, typer.Option(help="What its tokens say as `iss`.")],
    audience: Annotated[str, typer.Option(help="What they have to say as `aud`.")],
    jwks: Annotated[str, typer.Option(help="URL of its JWKS document (https).")],
    tenant: Annotated[list[str] | None, typer.Option(help="A tenant that it may speak for; repeat it.")] = None,
    any_tenant: Annotated[
        bool, typer.Option("--any-tenant", help="It may speak for whomever its tokens name.")
    ] = False,
    role: Annotated[list[Role] | None, typer.Option(help="A role that it may give; repeat it. [producer]")] = None,
    tenant_claim: Annotated[str, typer.Option(help="The claim that names the tenant.")] = "tenant_id",
    role_claim: Annotated[str, typer.Option(help="The claim that names the role.")] = "role",
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Trust an issuer of tokens, or change what they may stand for.

    \b
    Example:
      pushlane keys issuers add login --issuer https://login.example.com/ --audience https://pushlane.example.com
        --jwks https://login.example.com/.well-known/jwks.json --tenant atlas
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    if any_tenant == bool(tenant):
        raise typer.BadParameter("name the tenants that it may speak for, or give --any-tenant", param_hint="--tenant")
    said = {"name": name, "issuer": issuer, "audience": audience, "jwks_url": jwks, "tenant_claim": tenant_claim}
    said |= {"role_claim": role_claim}
    access = Access(connect(stage, profile, endpoint), json=json)
    access.add_issuer({**said, "tenants": tenant or None, "roles": role or [Role.PRODUCER]})


@issuers.command("list")
def list_issuers(
    json: Json = False, stage: Stage = StageName.LOCAL, profile: Profile = None, endpoint: Endpoint = None
) -> None:
    """List the trusted issuers.

    \b
    Example:
      pushlane keys issuers list --json
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    Access(connect(stage, profile, endpoint), json=json).list_issuers()


@issuers.command("remove")
def remove_issuer(
    name: Annotated[str, typer.Argument(help="Its name in `pushlane keys issuers list`.")],
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Trust an issuer no longer: its tokens open nothing any more, from within a second on.

    \b
    Example:
      pushlane keys issuers remove login
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    Access(connect(stage, profile, endpoint), json=json).remove_issuer(name)


@roles.command("add")
def add_role(
    arn: Annotated[str, typer.Argument(help="ARN of an IAM role or user.")],
    tenant: Tenant = None,
    role: OfRole = Role.PRODUCER,
    pool: Pool = None,
    agent: Agent = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Let an AWS role or user call the API with signed requests, or change what it may do.

    \b
    Example:
      pushlane keys roles add arn:aws:iam::123456789012:role/Submitter --tenant atlas --stage prod
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    said = {"arn": arn, "role": role, "tenant_id": tenant, "pool": pool, "agent_id": agent}
    Access(connect(stage, profile, endpoint), json=json).add_role(said)


@roles.command("list")
def list_roles(
    json: Json = False, stage: Stage = StageName.LOCAL, profile: Profile = None, endpoint: Endpoint = None
) -> None:
    """List the AWS roles and users that are let in.

    \b
    Example:
      pushlane keys roles list --stage prod
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    Access(connect(stage, profile, endpoint), json=json).list_roles()


@roles.command("remove")
def remove_role(
    arn: Annotated[str, typer.Argument(help="Its ARN in `pushlane keys roles list`.")],
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Let an AWS role or user in no longer.

    \b
    Example:
      pushlane keys roles remove arn:aws:iam::123456789012:role/Submitter --stage prod
    """
    from pushlane.cli.access import Access
    from pushlane.cli.target import connect

    Access(connect(stage, profile, endpoint), json=json).remove_role(arn)
