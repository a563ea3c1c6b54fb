"""What was measured: tenants' figures over a period, and samples of a pool."""

from typing import Annotated, Final

from msgspec import Meta, Struct, field

from pushlane.api.access import scope_of
from pushlane.api.operations import OPERATORS, PRODUCERS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import invalid, unknown
from pushlane.state.pools import registered_pools
from pushlane.telemetry.reading import summaries
from pushlane.telemetry.report import By, PoolSample, Summary
from pushlane.telemetry.sampling import samples

# One answer reads all of it; a longer period is several.
PERIOD_MAX_MS: Final = 24 * 3_600_000
_PERIOD_MS: Final = 3_600_000
_TAG: Final = "measures"

TimeMs = Annotated[int, Meta(ge=0, le=2**42, description="Unix time in milliseconds")]


class Period(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """From `from` until before `to`, a day at most; without them the hour until `to`, and until now."""

    from_ms: TimeMs | None = field(name="from", default=None)
    to_ms: TimeMs | None = field(name="to", default=None)


class MeasuresQuery(Period, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`by`: a summary of each tenant, of each of its tiers, or of each of its minutes."""

    by: By = "tenant"


class MeasuresAnswer(Struct, frozen=True, kw_only=True):
    """Summaries in order of tenant, tier and time. What was not measured is not there."""

    from_ms: int
    to_ms: int
    summaries: tuple[Summary, ...]


class SamplesAnswer(Struct, frozen=True, kw_only=True):
    """Samples of one pool, one a minute, oldest first."""

    pool: str
    from_ms: int
    to_ms: int
    samples: tuple[PoolSample, ...]


def show_measures(ports: ApiPorts, request: Request) -> Response:
    """Of the credential's own tenant; for the installation's own, of the tenant that is named, or of all."""
    from_ms, to_ms = _period(request)
    policy = ports.turn.policies.current()
    found = summaries(
        ports.store,
        from_ms=from_ms,
        to_ms=to_ms,
        tenant_id=scope_of(request),
        by=request.query.by,
        policy=policy,
    )
    return Response(body=MeasuresAnswer(from_ms=from_ms, to_ms=to_ms, summaries=tuple(found)))


def show_samples(ports: ApiPorts, request: Request) -> Response:
    from_ms, to_ms = _period(request)
    pool = request.path["pool"]
    found = samples(ports.store, pool, from_ms=from_ms, to_ms=to_ms)
    if not found and pool not in {*registered_pools(ports.store), *ports.turn.policies.current().pools}:
        raise unknown("pool")
    return Response(body=SamplesAnswer(pool=pool, from_ms=from_ms, to_ms=to_ms, samples=tuple(found)))


def _period(request: Request) -> tuple[int, int]:
    said = request.query
    to_ms = request.now_ms + 1 if said.to_ms is None else said.to_ms
    from_ms = max(0, to_ms - _PERIOD_MS) if said.from_ms is None else said.from_ms
    if from_ms >= to_ms:
        raise invalid("query.from", "is not before `to`")
    if to_ms - from_ms > PERIOD_MAX_MS:
        raise invalid("query.from", f"is more than a day before `to` ({PERIOD_MAX_MS} ms): ask for it in parts")
    return from_ms, to_ms


OPERATIONS: Final = (
    Operation(
        operation_id="getMeasures",
        method="GET",
        path="/v1/measures",
        roles=PRODUCERS,
        summary="Pickup latency with its parts, run time, deadlines, retries and cost of a tenant's tasks.",
        description="The installation's own operators may leave the tenant out, and get all.",
        run=show_measures,
        query=MeasuresQuery,
        responses={200: MeasuresAnswer},
        tag=_TAG,
    ),
    Operation(
        operation_id="getPoolSamples",
        method="GET",
        path="/v1/pools/{pool}/samples",
        roles=OPERATORS,
        of_installation=True,
        summary="How a pool stood, once a minute: slots, lanes, longest wait, shared resources.",
        run=show_samples,
        query=Period,
        responses={200: SamplesAnswer},
        owns=Owned.POOL,
        tag=_TAG,
    ),
)
