"""Verbs that look at what is shared: pools, lanes."""

from typing import Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

Pool = Annotated[str | None, typer.Option(help="Only this pool.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(pools)
    app.command()(lanes)


def pools(
    pool: Pool = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List the pools: their slots, what waits by tier and for how long, and when each is woken next.

    \b
    Examples:
      pushlane pools
      pushlane pools --pool gpu --stage prod --json
    """
    from pushlane.cli.durations import told_ms
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.live import live

    seen = live(connect(stage, profile, endpoint).store, now_ms(), pool=pool)
    if json:
        output.as_json(seen.pools)
        return
    rows = [
        (
            one.pool,
            one.agents,
            f"{one.used}/{one.slots}",
            one.waiting,
            ", ".join(f"{count} {tier}" for tier, count in one.by_tier.items()) or "-",
            told_ms(one.longest_wait_ms) if one.waiting else "-",
            "-" if one.wake_due_ms is None else _away(one.wake_due_ms - seen.at_ms),
        )
        for one in seen.pools
    ]
    output.table("Pools", ("pool", "agents", "used/slots", "waiting", "by tier", "longest wait", "next wake-up"), rows)


def lanes(
    pool: Pool = None,
    tenant: Annotated[str | None, typer.Option(help="Only lanes of this tenant.")] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List the lanes in which tasks wait: whose they are, what they ask for, how many, and how long the oldest waits.

    \b
    Examples:
      pushlane lanes
      pushlane lanes --tenant atlas --json
    """
    from pushlane.cli.durations import told_ms
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.live import live

    seen = live(connect(stage, profile, endpoint).store, now_ms(), pool=pool)
    found = [lane for lane in seen.lanes if tenant in (None, lane.tenant_id)]
    if json:
        output.as_json(found)
        return
    rows = [
        (
            one.pool,
            one.tier,
            one.tenant_id,
            ", ".join((*one.capabilities, *(f"({name})" for name in one.resources))),
            f"{one.waiting}{' (pressed)' if one.pressed else ''}",
            told_ms(one.oldest_wait_ms),
        )
        for one in found
    ]
    output.table("Lanes", ("pool", "tier", "tenant", "asks for", "waiting", "oldest wait"), rows)


def _away(in_ms: int) -> str:
    from pushlane.cli.durations import told_ms

    return f"in {told_ms(in_ms)}" if in_ms >= 0 else f"{told_ms(-in_ms)} ago"
