"""What the records of a polling fleet come to: pure, exact."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from pushlane.migrate.records import Ended, Picked, Polled, Record
from pushlane.telemetry.report import Percentiles

_HOUR_MS = 3_600_000


class TenantFigures(Struct, frozen=True, kw_only=True):
    """One tenant's tasks. `pickup`: from the queue to the poller that began; `run`: from there to the end. A deadline
    counts as missed when the task ended later, or was picked up later and has not ended.
    """

    tenant_id: str
    tasks: int
    failed: int
    unfinished: int
    deadlines_met: int
    deadlines_missed: int
    pickup: Percentiles
    run: Percentiles


class PollFigures(Struct, frozen=True, kw_only=True):
    """The polls of all pollers that were seen, `empty` ones found nothing."""

    pollers: int
    polls: int
    empty: int
    empty_per_hour: float


class Figures(Struct, frozen=True, kw_only=True):
    """Everything between the first record and the last (Unix milliseconds)."""

    from_ms: int
    to_ms: int
    tenants: tuple[TenantFigures, ...]
    polls: PollFigures


def percentiles(values: Iterable[int]) -> Percentiles:
    """The distribution of some durations in milliseconds, by nearest rank."""
    ordered = sorted(values)
    if not ordered:
        return Percentiles()
    return Percentiles(
        count=len(ordered),
        mean_ms=sum(ordered) / len(ordered),
        p50_ms=_rank(ordered, 50),
        p95_ms=_rank(ordered, 95),
        p99_ms=_rank(ordered, 99),
        max_ms=ordered[-1],
    )


def _rank(ordered: Sequence[int], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def figures_of(records: Iterable[Record]) -> Figures:
    """The figures of some records, in whatever order they come. A task that was picked up again, after a redelivery,
    counts by its first pickup and its last end.
    """
    polls: list[Polled] = []
    picked: dict[tuple[str, str], Picked] = {}
    ended: dict[tuple[str, str], Ended] = {}
    times: list[int] = []
    for one in records:
        times.append(one.at_ms)
        if isinstance(one, Polled):
            polls.append(one)
            continue
        ref = (one.tenant_id, one.task_id)
        if isinstance(one, Picked):
            before = picked.get(ref)
            picked[ref] = one if before is None or one.at_ms < before.at_ms else before
        else:
            last = ended.get(ref)
            ended[ref] = one if last is None or one.at_ms > last.at_ms else last
    from_ms, to_ms = min(times, default=0), max(times, default=0)
    names = sorted({tenant_id for tenant_id, _ in picked})
    tenants = tuple(_tenant(name, picked, ended) for name in names)
    return Figures(from_ms=from_ms, to_ms=to_ms, tenants=tenants, polls=_polls(polls, to_ms - from_ms))


def _tenant(
    tenant_id: str, picked: Mapping[tuple[str, str], Picked], ended: Mapping[tuple[str, str], Ended]
) -> TenantFigures:
    own = [(one, ended.get(ref)) for ref, one in picked.items() if ref[0] == tenant_id]
    dated = [(one, end) for one, end in own if one.deadline_ms is not None]
    missed = [pair for pair in dated if _late(*pair)]
    met = [1 for one, end in dated if end is not None and not _late(one, end)]
    return TenantFigures(
        tenant_id=tenant_id,
        tasks=len(own),
        failed=sum(end is not None and not end.succeeded for _, end in own),
        unfinished=sum(end is None for _, end in own),
        deadlines_met=len(met),
        deadlines_missed=len(missed),
        pickup=percentiles(max(0, one.at_ms - one.enqueued_at_ms) for one, _ in own if one.enqueued_at_ms is not None),
        run=percentiles(max(0, end.at_ms - one.at_ms) for one, end in own if end is not None),
    )


def _late(one: Picked, end: Ended | None) -> bool:
    at_ms = one.at_ms if end is None else end.at_ms
    return one.deadline_ms is not None and at_ms > one.deadline_ms


def _polls(polls: Sequence[Polled], lasted_ms: int) -> PollFigures:
    empty = sum(one.found == 0 for one in polls)
    hours = max(lasted_ms, 1) / _HOUR_MS
    return PollFigures(
        pollers=len({one.poller for one in polls}),
        polls=len(polls),
        empty=empty,
        empty_per_hour=round(empty / hours, 1) if lasted_ms > 0 else 0.0,
    )


def figures_from_json(document: bytes | str) -> Figures:
    """What was kept as JSON; raises `msgspec.DecodeError`."""
    return msgspec.json.decode(document, type=Figures)
