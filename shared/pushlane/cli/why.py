"""Verbs that say what waits for what: why, resources."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Api, Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.client.why import Why


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(why)
    app.command()(resources)


def why(
    task: Annotated[str, typer.Argument(help="Task id, as t-...")],
    tenant: Annotated[str | None, typer.Option(help="With --api: whom an operator speaks for.")] = None,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Say why a task waits, its place, and when it starts: estimated, and at the latest.

    The reason is recomputed from the state of now, by the same plan that dispatches.

    \b
    Examples:
      pushlane why t-0123456789abcdef0123456789abcdef
      pushlane why t-0123456789abcdef0123456789abcdef --api https://api.example.com
    """
    said = _asked(task, tenant, api, (stage, profile, endpoint))
    if json:
        output.as_json(said)
        return
    output.answers(f"{said.task_id}  {said.status}", _rows(said))
    if said.wait is not None:
        output.note("assumed: " + "; ".join(said.wait.assumed))


def resources(
    json: Json = False, stage: Stage = StageName.LOCAL, profile: Profile = None, endpoint: Endpoint = None
) -> None:
    """List the shared resources of the policy: what they allow, what is used, and until when they are paused.

    \b
    Example:
      pushlane resources --json
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.policies import current_policy
    from pushlane.client.resources import resources as all_resources

    store, at_ms = connect(stage, profile, endpoint).store, now_ms()
    found = all_resources(store, current_policy(store), at_ms)
    if json:
        output.as_json(found)
        return
    rows = [
        (
            one.name,
            f"{one.limit} at a time" if one.burst is None else f"{one.limit} {one.kind} a minute",
            f"{one.used} of {one.limit if one.burst is None else one.burst}",
            "-" if one.full_at_ms is None else _time(one.full_at_ms, at_ms),
            "-" if one.paused_until_ms is None else _time(one.paused_until_ms, at_ms),
        )
        for one in found
    ]
    output.table("Resources", ("resource", "limit", "used", "all there again", "paused until"), rows)


def _asked(task_id: str, tenant: str | None, api: str | None, where: tuple[StageName, str | None, str | None]) -> "Why":
    if api is None:
        from pushlane.cli.target import connect, now_ms
        from pushlane.client.why import why as asked

        return asked(connect(*where).store, task_id, now_ms())
    import msgspec

    from pushlane.cli.over_http import api_client
    from pushlane.client.why import Why

    return msgspec.convert(api_client(api, tenant=tenant).why(task_id).said, Why)


def _rows(said: "Why") -> list[tuple[str, str]]:
    times = (
        ("it ends by itself", said.until_ms),
        ("due", said.due_ms),
        ("dispatched", said.dispatched_at_ms),
        ("started", said.started_at_ms),
        ("lease until", said.lease_until_ms),
        ("ended", said.ended_at_ms),
    )
    return [
        ("why", said.explanation),
        *([("reason", said.reason)] if said.reason else []),
        ("task", f"tenant {said.tenant_id}, tier {said.tier}, pool {said.pool}, attempts {said.epoch}"),
        *((name, _time(at_ms, said.at_ms)) for name, at_ms in times if at_ms is not None),
        *_waiting(said),
    ]


def _waiting(said: "Why") -> list[tuple[str, str]]:
    if said.place is None or said.shares is None or said.wait is None:
        return []
    place, shares, wait = said.place, said.shares, said.wait
    where = f"{'' if place.exact else 'at most '}{place.in_lane} of {place.lane_depth} in its lane"
    late = ", among those that can no longer make their deadline" if place.late else ""
    below = ", below its share: it goes first" if shares.tier_below_share else ""
    bound = "nothing is guaranteed while this lasts"
    if wait.latest_start_ms is not None:
        bound = _time(wait.latest_start_ms, said.at_ms)
    estimated = "unknown" if wait.estimated_start_ms is None else _time(wait.estimated_start_ms, said.at_ms)
    return [
        ("place", f"{where}{late}; lanes before its own: {place.lanes_before}"),
        ("estimated start", estimated),
        ("at the latest", bound),
        ("tier", f"at least {shares.tier_share:.0%} of {shares.slots} slots{below}"),
        ("tenant", f"{shares.tenant_share:.0%} of the tier; tenants that have work in it: {shares.tenants}"),
        ("virtual time", f"tenant {shares.tenant_virtual_ms} ms, tier {shares.tier_virtual_ms} ms"),
    ]


def _time(at_ms: int, now_ms: int) -> str:
    away = (at_ms - now_ms) / 1_000
    told = f"in {away:.1f} s" if away >= 0 else f"{-away:.1f} s ago"
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC ({told})"
