"""Verbs of the move from a polling fleet: measure, shadow, send, set, status."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.migrate.figures import Figures, TenantFigures
    from pushlane.migrate.records import Record
    from pushlane.migrate.shadow import Compared
    from pushlane.migrate.status import Moving, TenantStatus, Way
    from pushlane.telemetry.report import Percentiles

REFUSED: Final = 2
_HOUR_MS: Final = 3_600_000

migrate = typer.Typer(
    no_args_is_help=True, help="Move tenants from a polling fleet to push, and back. See docs/migrate.md."
)

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, help="What a probe wrote.")
]


class ModeName(StrEnum):
    """What `set` takes."""

    POLL = "poll"
    SHADOW = "shadow"
    PERCENT = "percent"
    PUSH = "push"
    NONE = "none"


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(migrate, name="migrate")


@migrate.command()
def measure(files: Files, json: Json = False) -> None:
    """Sum up what a probe recorded of a polling fleet. Needs no installation.

    \b
    Examples:
      pushlane migrate measure fleet.jsonl
      pushlane migrate measure host-*.jsonl --json
    """
    from pushlane.migrate.figures import figures_of

    figures = figures_of(_records(files))
    if json:
        output.as_json(figures)
        return
    _show_figures(figures)


@migrate.command()
def shadow(
    files: Files,
    slots: Annotated[int, typer.Option(min=1, help="Slots of the agents that would be pushed to.")],
    json: Json = False,
) -> None:
    """Plan what a fleet did as if it had been pushed, by the scheduler itself, beside what it did. Dispatches nothing
    and needs no installation.

    \b
    Examples:
      pushlane migrate shadow fleet.jsonl --slots 20
      pushlane migrate shadow host-*.jsonl --slots 20 --json
    """
    from pushlane.migrate.shadow import ShadowAgent, compare, plan_beside, seen_in
    from pushlane.model.policy import Policy

    tasks = seen_in(_records(files))
    both = compare(tasks, plan_beside(tasks, [ShadowAgent(agent_id="planned", slots=slots)], Policy()))
    if json:
        output.as_json(both)
        return
    heads = ("tenant", "tasks", "polled p50/p99", "planned p50/p99", "late polled", "late planned", "sooner", "waiting")
    output.table("Planned beside polled (pickup in ms)", heads, [_compared_row(one) for one in both])


@migrate.command()
def send(
    files: Files,
    source: Annotated[str, typer.Option(help="Who measured it; a second sending replaces the first.")] = "fleet",
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Keep a fleet's figures with the installation, so that `status` shows them beside its own.

    \b
    Examples:
      pushlane migrate send fleet.jsonl
      pushlane migrate send host-*.jsonl --source celery --stage dev --json
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.migrate.figures import figures_of
    from pushlane.migrate.kept import keep

    kept = keep(connect(stage, profile, endpoint).store, source, figures_of(_records(files)), now_ms())
    if json:
        output.as_json({"source": source, "tenants": kept})
    else:
        output.line(f"figures of {kept} tenants are kept as measured by {source}")


@migrate.command("set")
def set_(
    tenant: Annotated[str, typer.Argument(help="Whose tasks.")],
    mode: Annotated[ModeName, typer.Argument(help="none: the move is over, whichever agent is free takes them.")],
    push_percent: Annotated[
        int | None, typer.Argument(min=0, max=100, metavar="[PERCENT]", help="How many of a hundred are pushed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also when no agent would take the tasks.")] = False,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Set which agents get a tenant's tasks; routers go by it within a second. What runs goes on where it is.

    \b
    Examples:
      pushlane migrate set atlas percent 20
      pushlane migrate set atlas push
      pushlane migrate set atlas poll --json
    """
    from pushlane.cli.policy import user
    from pushlane.cli.target import connect, now_ms
    from pushlane.migrate.modes import TenantMode, set_mode
    from pushlane.model.mode import Mode

    if (mode is ModeName.PERCENT) is (push_percent is None):
        output.note("pushlane: percent takes a number, as `set atlas percent 20`; the other modes take none")
        raise typer.Exit(REFUSED)
    wanted = TenantMode(
        tenant_id=tenant, mode=None if mode is ModeName.NONE else Mode(mode.value), push_percent=push_percent
    )
    target = connect(stage, profile, endpoint)
    made = set_mode(target.store, wanted, changed_by=user(), now_ms=now_ms(), force=force)
    target.wake_after_policy()
    if json:
        output.as_json({"revision": made.revision, **_said(tenant, mode, push_percent)})
    else:
        share = "" if push_percent is None else f" {push_percent}"
        output.line(f"tenant {tenant}: mode {mode.value}{share} (policy revision {made.revision})")


@migrate.command()
def status(
    tenants: Annotated[
        list[str] | None, typer.Argument(metavar="[TENANT]...", help="Those; else all with a mode.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, help="How far back.")] = 1.0,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Plan for agents with so many slots, not those there.")
    ] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Both ways side by side: as measured before, as claimed, as pushed, and as pushing would have been.

    \b
    Examples:
      pushlane migrate status
      pushlane migrate status atlas --hours 24 --slots 20 --json
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.migrate.modes import read_policy
    from pushlane.migrate.status import status_of

    target, to_ms = connect(stage, profile, endpoint), now_ms()
    moving = status_of(
        target.store,
        target.listing,
        read_policy(target.store),
        tenants=tenants or (),
        from_ms=to_ms - round(hours * _HOUR_MS),
        to_ms=to_ms,
        planned_slots=slots,
    )
    if json:
        output.as_json(moving)
    else:
        show(moving)


def show(moving: "Moving") -> None:
    """Print the state of the move for a person."""
    heads = ("tenant", "mode", "waiting", "way", "tasks", "pickup p50/p95/p99 ms", "deadlines missed", "empty polls/h")
    rows = [row for one in moving.tenants for row in _status_rows(one)]
    since = datetime.fromtimestamp(moving.from_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    output.table(f"Since {since}", heads, rows)
    output.line(f"agents that are pushed to: {moving.agent_slots} slots; pollers: {moving.poller_slots} slots")


def _status_rows(one: "TenantStatus") -> list[tuple[object, ...]]:
    share = "" if one.push_percent is None else f" {one.push_percent}"
    head = (one.tenant_id, f"{one.mode or 'none'}{share}", one.waiting)
    ways = [_way_cells(way) for way in one.ways] or [("nothing yet", "", "", "", "")]
    return [(*(head if first else ("", "", "")), *cells) for first, cells in _first(ways)]


def _first(ways: list[tuple[object, ...]]) -> list[tuple[bool, tuple[object, ...]]]:
    return [(place == 0, cells) for place, cells in enumerate(ways)]


def _way_cells(way: "Way") -> tuple[object, ...]:
    name = way.way if way.source is None else f"{way.way} ({way.source})"
    dated = way.deadlines_met + way.deadlines_missed
    missed = f"{way.deadlines_missed} of {dated}" if dated else "-"
    empty = "-" if way.empty_polls_per_hour is None else f"{way.empty_polls_per_hour:g}"
    return (name, way.tasks, _three(way.pickup), missed, empty)


def _said(tenant: str, mode: ModeName, push_percent: int | None) -> dict[str, object]:
    said = None if mode is ModeName.NONE else mode.value
    return {"tenant_id": tenant, "mode": said, "push_percent": push_percent}


def _records(files: list[Path]) -> "list[Record]":
    from pushlane.migrate.records import records_of

    found: list[Record] = []
    for path in files:
        with path.open("rb") as lines:
            found += records_of(lines, str(path))
    return found


def _show_figures(figures: "Figures") -> None:
    heads = ("tenant", "tasks", "pickup p50/p95/p99 ms", "run p50/p95/p99 ms", "deadlines missed", "failed", "open")
    output.table("What the fleet did", heads, [_tenant_row(one) for one in figures.tenants])
    polls = figures.polls
    share = f"{100 * polls.empty / polls.polls:.0f} % " if polls.polls else ""
    output.line(f"{polls.polls} polls of {polls.pollers} pollers, {share}empty: {polls.empty_per_hour:g} an hour")


def _tenant_row(one: "TenantFigures") -> tuple[object, ...]:
    missed = f"{one.deadlines_missed} of {one.deadlines_met + one.deadlines_missed}"
    return (one.tenant_id, one.tasks, _three(one.pickup), _three(one.run), missed, one.failed, one.unfinished)


def _compared_row(one: "Compared") -> tuple[object, ...]:
    ends = (one.polled_late, one.planned_late, one.sooner, one.waiting)
    return (one.tenant_id, one.tasks, _two(one.polled), _two(one.planned), *ends)


def _three(found: "Percentiles") -> str:
    return f"{found.p50_ms:.0f} / {found.p95_ms:.0f} / {found.p99_ms:.0f}"


def _two(found: "Percentiles") -> str:
    return f"{found.p50_ms:.0f} / {found.p99_ms:.0f}"
