"""The fold: each fact once, whatever becomes of batches and answers; and figures that hold on many samples."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from pushlane.aws.expressions import request_parameters
from pushlane.inmemory.limits import item_bytes
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import Change, InvalidRequest, Table, Write
from pushlane.state.measures import SLICE_MS
from pushlane.telemetry.folding import FACTS_MAX
from pushlane.telemetry.layout import COUNTS, SUMS
from pushlane.telemetry.observations import Observation
from pushlane.telemetry.report import Percentiles
from tests.unit.telemetry.measured import Folded, LosesAnswers, an_observation, started
from tests.unit.values import NOW

TENANTS: Final = ("atlas", "birch", "cedar", "dune")
SAMPLES: Final = 100_000


def batches(changes: Sequence[Change], sizes: Sequence[int]) -> Iterator[Sequence[Change]]:
    """The changes in batches of these sizes, over and over."""
    start, place = 0, 0
    while start < len(changes):
        size = sizes[place % len(sizes)]
        yield changes[start : start + size]
        start, place = start + size, place + 1


def some_changes(count: int) -> list[Change]:
    chance = random.Random(3)
    tenants = [chance.choice(TENANTS) for _ in range(count)]
    return [
        started(
            number,
            [NOW - chance.randrange(10, 9_000), 5, "capacity", NOW - chance.randrange(9)],
            at_ms=NOW + chance.randrange(20_000),
            tenant_id=tenant,
            tier=chance.choice(("high", "low")),
        )
        for number, tenant in enumerate(tenants)
    ]


def test_each_batch_told_twice_regrouped_and_split_leaves_the_figures_as_they_are() -> None:
    changes = some_changes(600)
    world = Folded()
    folded = 0
    for batch in batches(changes, [100]):
        folded += len(world.measures.fold_changes(batch))
        assert world.measures.fold_changes(batch) == []
    assert folded == len(changes)
    once = world.figures()
    # By environments that remember nothing: regrouped, split to single changes, in another order, two of each at once.
    for again in (batches(changes, [7, 90, 1, 33]), batches(changes, [1]), batches(changes[::-1], [64])):
        other = world.another()
        assert [one for batch in again for one in other.fold_changes([*batch, *batch])] == []
    assert world.figures() == once
    assert sum(one.counts["started"] for one in world.summaries()) == len(changes)


def test_a_batch_of_new_and_told_changes_counts_the_new_ones() -> None:
    changes = some_changes(90)
    world, whole = Folded(), Folded()
    world.measures.fold_changes(changes[10:50])
    fresh = world.measures.fold_changes(changes)
    assert len(fresh) == 50
    whole.measures.fold_changes(changes)
    assert world.summaries(by="tenant_tier") == whole.summaries(by="tenant_tier")


@pytest.mark.parametrize("lost", [(1,), (2,), (3,), (2, 4, 5)])
def test_a_lost_answer_is_found_out_by_the_marks(lost: tuple[int, ...]) -> None:
    changes = some_changes(60)
    world, whole = Folded(LosesAnswers(StoreUnavailable("no answer"), lost)), Folded()
    whole.measures.fold_changes(changes)
    for _ in lost:
        with pytest.raises(StoreUnavailable):
            world.measures.fold_changes(changes)
    world.measures.fold_changes(changes)
    assert world.figures() == whole.figures()


def test_facts_of_one_place_and_time_are_one_write_of_so_many() -> None:
    world = Folded()
    world.measures.fold(an_observation(number) for number in range(FACTS_MAX))
    [item] = [one for one in world.store.items(Table.MEASURES) if one.key.pk == "TENANT#atlas"]
    assert item.attributes["n_st"] == FACTS_MAX
    [summary] = world.summaries()
    assert summary.latencies["pickup"].count == FACTS_MAX


def test_at_low_load_an_item_stays_within_one_write_unit() -> None:
    """Four tasks a second of one tenant and tier: a start and an end each, all that one item gets."""
    chance = random.Random(5)
    world = Folded()
    per_slice = 4 * SLICE_MS // 1_000
    for number in range(per_slice):
        spread = {name: round(chance.lognormvariate(4, 1)) for name in ("pickup", "ingest", "dispatch")}
        world.measures.fold([an_observation(number, durations_ms=spread)])
        end = an_observation(
            1_000 + number,
            durations_ms={"run": round(chance.lognormvariate(6, 1))},
            counts={"succeeded": 1, "deadline_met": 1},
            sums={"slot_ms": 431, "tokens": 1_200, "reserved_tokens": 1_500},
        )
        world.measures.fold([end])
    sizes = [item_bytes(one.key, one.attributes) for one in world.store.items(Table.MEASURES)]
    assert max(sizes) <= 1_024


class Keeps:
    """Every write, as it comes."""

    def __init__(self) -> None:
        self.written: list[Write] = []

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "write":
            self.written += operations

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


def test_the_largest_fold_is_an_update_that_dynamodb_takes() -> None:
    """Four kilobytes of expression and 300 operators: here each fact is in buckets of its own."""
    chance, kept = random.Random(2), Keeps()
    parts = ("pickup", "ingest", "parked.capacity", "parked.not-started", "dispatch")
    facts = [
        an_observation(
            number,
            durations_ms={name: chance.randrange(10**11) for name in parts},
            counts=dict.fromkeys(COUNTS, 1),
            sums=dict.fromkeys(SUMS, 10**9),
        )
        for number in range(FACTS_MAX)
    ]
    Folded(kept).measures.fold(facts)
    said = request_parameters(kept.written[-1])
    assert len(said["UpdateExpression"]) <= 4_096
    assert len(said["ConditionExpression"]) <= 4_096
    assert said["ConditionExpression"].count("attribute_not_exists") == FACTS_MAX
    assert said["UpdateExpression"].count(",") + said["ConditionExpression"].count("AND") < 300


class Full:
    """The store takes no more into an item."""

    def before(self, name: str, operations: Sequence[object]) -> None:
        if name == "write" and getattr(operations[0], "add", None):
            raise InvalidRequest("the item would be too large")

    def after(self, name: str, operations: Sequence[object]) -> None:
        """Nothing happens."""


def test_an_item_that_is_full_loses_measures_and_blocks_nobody() -> None:
    world = Folded(Full())
    assert world.measures.fold([an_observation(1)]) == []
    assert world.logged == ["measures-dropped"]


def test_an_unreadable_change_is_passed_over() -> None:
    world = Folded()
    good, bad = started(1, [NOW - 40, 30]), started(2, ["when?"])
    assert len(world.measures.fold_changes([bad, good])) == 1
    assert world.logged == ["not-measured"]


def exact(samples: Sequence[int]) -> Percentiles:
    ordered = sorted(samples)
    p50, p95, p99 = (float(ordered[int(q * (len(ordered) - 1))]) for q in (0.5, 0.95, 0.99))
    mean = sum(ordered) / len(ordered)
    return Percentiles(count=len(ordered), mean_ms=mean, p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=float(ordered[-1]))


def observations() -> Iterator[Observation]:
    """A hundred thousand pickups over half an hour: quick and slow tenants, long tails, and some that wait for long."""
    chance = random.Random(11)
    for number in range(SAMPLES):
        place = number % len(TENANTS)
        pickup_ms = round(chance.lognormvariate(3 + place, 0.4 + 0.5 * place))
        if number % 97 == 0:
            pickup_ms += chance.randrange(600_000)
        at_ms = NOW + number * 18
        yield an_observation(number, pickup_ms, tenant_id=TENANTS[place], at_ms=at_ms)


def test_per_tenant_percentiles_of_a_hundred_thousand_samples_are_within_two_percent_of_exact() -> None:
    world = Folded()
    samples: dict[str, list[int]] = {tenant_id: [] for tenant_id in TENANTS}
    batch: list[Observation] = []
    for one in observations():
        samples[one.tenant_id].append(one.durations_ms["pickup"])
        batch.append(one)
        if len(batch) == 100:
            world.measures.fold(batch)
            batch = []
    found = {one.tenant_id: one.latencies["pickup"] for one in world.summaries()}
    assert sum(one.count for one in found.values()) == SAMPLES
    for tenant_id, told in found.items():
        true = exact(samples[tenant_id])
        for figure in ("count", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms"):
            assert getattr(told, figure) == pytest.approx(getattr(true, figure), rel=0.02), (tenant_id, figure)
