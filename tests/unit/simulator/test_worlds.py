"""The published worlds: seeded, and byte for byte what was published."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from pushlane.simulator import InvalidTrace, read_trace
from pushlane.simulator import worlds as made
from pushlane.simulator.catalogue import WORLDS, UnknownWorld, load_world, rows_of, world_named

NOISY_SEED_7 = "ec9c3ad053c46b826cddf4acb168a9789ff68907c46ca9d2199b61d47072540d"
REQUESTS = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""


def test_noisy_at_seed_7_is_the_published_file() -> None:
    written = "".join(made.as_lines(made.noisy(7)))
    assert hashlib.sha256(written.encode()).hexdigest() == NOISY_SEED_7


@pytest.mark.parametrize("generator", ["noisy", "tight-tpm", "workflows"])
def test_a_seed_is_a_world(generator: str) -> None:
    assert rows_of(generator, 7, None) == rows_of(generator, 7, None)
    assert rows_of(generator, 7, None) != rows_of(generator, 8, None)


def test_what_is_loaded_is_what_the_written_file_holds() -> None:
    rows = made.workflows(7)
    assert made.tasks_from(rows) == read_trace(made.as_lines(rows))


def test_conv_attaches_tenants_tiers_and_deadlines_by_the_rule() -> None:
    [first, second] = made.tasks_from(made.conv(REQUESTS.splitlines(), 7))
    assert (first.arrival_s, second.arrival_s) == (0.0, 4.315)
    assert (first.tokens_in, first.tokens_out, first.runtime_s) == (374, 44, 1.155)  # 0.2 + in * 0.0002 + out * 0.02
    place = made.TIERS.index(second.tier)
    assert second.deadline_s == pytest.approx(4.315 + made.C_SECONDS[place] + made.K[place] * 2.4592, abs=0.002)


@pytest.mark.parametrize("requests", ["at,in,out\n1,2,3", "TIMESTAMP,ContextTokens,GeneratedTokens\nlater,1,2"])
def test_another_file_is_refused_by_name(requests: str) -> None:
    with pytest.raises(InvalidTrace, match="Azure Public Dataset"):
        made.conv(requests.splitlines())


def test_conv_without_its_trace_says_where_it_is() -> None:
    with pytest.raises(UnknownWorld, match=r"github\.com/Azure/AzurePublicDataset"):
        rows_of("conv", 7, None)


def test_conv_worlds_read_the_given_trace(tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(REQUESTS)
    assert len(load_world(world_named("conv-1.5"), 0.0, 7, file)) == 2


def test_unknown_names_are_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownWorld, match=r"noisy-0\.92, conv-1\.1"):
        world_named("calm")
    with pytest.raises(UnknownWorld, match="tight-tpm, workflows"):
        rows_of("calm", 7, None)


def test_tight_tpm_has_ample_slots_and_a_scarce_rate() -> None:
    world = WORLDS["tight-tpm"]
    tasks = load_world(world)
    minutes = (tasks[-1].arrival_ms - tasks[0].arrival_ms) / 60_000
    [rate] = world.setting.rates
    assert sum(task.runtime_ms for task in tasks) / (minutes * 60_000 * world.setting.slots) < 0.3
    assert 0.9 < sum(tokens for task in tasks for _, tokens in task.charges) / (minutes * rate.tokens_per_minute) < 1.0
    assert {task.charges == () for task in tasks if task.task_type == made.TOOL_TYPE} == {True}


def test_workflows_share_the_deadline_of_the_whole() -> None:
    tasks = made.tasks_from(made.workflows())
    stages = Counter(task.task_id.split("-")[1] for task in tasks)
    assert stages.keys() == {"0", "1", "2", "3", "4", "5"}
    deadlines: dict[str, set[float]] = {}
    for task in tasks:
        deadlines.setdefault(task.task_id.split("-")[0], set()).add(task.deadline_s)
    assert {len(each) for each in deadlines.values()} == {1}
    assert sum(len(task.depends_on) == 40 for task in tasks) == 100  # the joins of the flood


def test_estimates_are_wrong_in_the_same_way_for_everyone() -> None:
    world = WORLDS["noisy-0.92"]
    exact, half, whole = (load_world(world, sigma)[:500] for sigma in (0.0, 0.5, 1.0))
    assert all(task.estimate_ms == task.runtime_ms for task in exact)
    assert [task.runtime_ms for task in exact] == [task.runtime_ms for task in whole]
    for a, b, c in zip(exact, half, whole, strict=True):  # one draw a task: sigma only scales its exponent
        assert c.estimate_ms * a.runtime_ms == pytest.approx(b.estimate_ms**2, rel=0.05)
    assert load_world(world, 0.5)[:500] == half
