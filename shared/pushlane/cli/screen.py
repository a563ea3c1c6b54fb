"""A frame of `top` as Rich draws it: as tall as the terminal, the most pressing rows of each table."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pushlane.cli.durations import told_ms
from pushlane.client.live import AgentLive
from pushlane.model.agent import AgentStatus

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from pushlane.cli.frames import Frame

ROWS_MIN: Final = 3
# Titles, headings and rules of five tables, and the lines above them.
_FURNITURE: Final = 30


def drawn(frame: "Frame", rows: int) -> "Group":
    """The frame for a terminal of so many rows."""
    from rich.console import Group
    from rich.text import Text

    share = max(ROWS_MIN, (rows - _FURNITURE) // 5)
    return Group(
        Text(head(frame), style="bold"),
        Text(past(frame)),
        _pools(frame, share),
        _lanes(frame, share),
        _agents(frame, share),
        _slowest(frame, share),
        _tenants(frame, share),
    )


def head(frame: "Frame") -> str:
    """The line that is looked at first: what waits, what is taken, and which way both go."""
    seen = frame.live
    at = datetime.fromtimestamp(seen.at_ms / 1_000, UTC).strftime("%H:%M:%S UTC")
    return (
        f"pushlane top  {at}  waiting {seen.waiting} ({frame.waiting_change:+d})  "
        f"slots {seen.used}/{seen.slots} ({frame.used_change:+d})  pools {len(seen.pools)}  agents {len(seen.agents)}"
    )


def past(frame: "Frame") -> str:
    """What became of tasks lately."""
    said = "  ".join(f"{name.replace('_', ' ')} {count}" for name, count in frame.ended.items())
    return f"last {frame.minutes} min  {said}"


def _pools(frame: "Frame", share: int) -> "Table":
    rows = [
        (
            one.pool,
            f"{one.used}/{one.slots} {_gauge(one.used, one.slots)}",
            one.waiting,
            " ".join(f"{tier}:{count}" for tier, count in one.by_tier.items()) or "-",
            told_ms(one.longest_wait_ms) if one.waiting else "-",
        )
        for one in sorted(frame.live.pools, key=lambda pool: (-pool.waiting, -pool.used, pool.pool))
    ]
    return _table("Pools", ("pool", "used/slots", "waiting", "by tier", "longest wait"), rows, share)


def _lanes(frame: "Frame", share: int) -> "Table":
    rows = [
        (
            one.pool,
            one.tier,
            one.tenant_id,
            ", ".join(one.capabilities),
            f"{one.waiting}{' pressed' if one.pressed else ''}",
            told_ms(one.oldest_wait_ms),
        )
        for one in sorted(frame.live.lanes, key=lambda lane: (-(lane.oldest_wait_ms or 0), -lane.waiting))
    ]
    return _table("Lanes", ("pool", "tier", "tenant", "asks for", "waiting", "oldest"), rows, share)


def _agents(frame: "Frame", share: int) -> "Table":
    def pressing(one: AgentLive) -> tuple[bool, float, str]:
        return one.status is AgentStatus.ACTIVE, -one.used / max(1, one.slots), one.agent_id

    rows = [
        (
            one.pool,
            one.agent_id,
            f"{one.used}/{one.slots} {_gauge(one.used, one.slots)}",
            one.status.value,
            "-" if one.silent_ms is None else f"{told_ms(one.silent_ms)} ago",
        )
        for one in sorted(frame.live.agents, key=pressing)
    ]
    return _table("Agents", ("pool", "agent", "used/slots", "status", "heartbeat"), rows, share)


def _slowest(frame: "Frame", share: int) -> "Table":
    rows = [
        (
            one.task_id,
            one.tenant_id,
            one.task_type,
            one.tier,
            f"{told_ms(one.waited_ms)}{' late' if one.late else ''}",
        )
        for one in frame.live.slowest
    ]
    return _table("Slowest waits", ("task", "tenant", "type", "tier", "waits"), rows, share)


def _tenants(frame: "Frame", share: int) -> "Table":
    rows = [
        (
            one.tenant_id,
            one.counts.get("started", 0),
            one.counts.get("succeeded", 0),
            one.counts.get("failed", 0) + one.counts.get("dead_lettered", 0),
            one.counts.get("deadline_missed", 0),
            f"{told_ms(one.pickup.p50_ms)} / {told_ms(one.pickup.p99_ms)}" if one.pickup.count else "-",
        )
        for one in sorted(frame.lately, key=lambda tenant: -tenant.counts.get("started", 0))
    ]
    headings = ("tenant", "started", "succeeded", "failed", "missed", "pickup p50 / p99")
    return _table(f"Tenants, last {frame.minutes} min", headings, rows, share)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], share: int) -> "Table":
    from rich.table import Table
    from rich.text import Text

    more = f" ({share} of {len(rows)})" if len(rows) > share else "" if rows else ": none"
    made = Table(title=title + more, title_justify="left", expand=True, box=None, header_style="dim", title_style="")
    for heading in headings:
        made.add_column(heading, overflow="ellipsis", no_wrap=True)
    for row in rows[:share]:
        made.add_row(*(Text(str(cell)) for cell in row))
    return made


def _gauge(used: int, slots: int, cells: int = 10) -> str:
    full = min(cells, round(cells * used / slots)) if slots else 0
    return f"[{'#' * full}{'.' * (cells - full)}]"
