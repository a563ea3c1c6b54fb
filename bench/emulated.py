"""The sections that need a backend: one embedded AWS, on which everything that is compared stands side by side."""

import time
from contextlib import ExitStack
from typing import Any, Final

from bench import neighbours
from bench.fleet import PollingFleet, deployed_fleet
from bench.loads import Blocks, measure, warm_up
from bench.place import Place, deployed, with_api
from bench.report import LOW, POLL, pickup_ratios, told
from bench.sections import Run
from bench.systems import Chain, Pushlane, rival_parts
from pushlane.local.isolation import tenants
from pushlane.local.percentiles import Percentiles
from pushlane.local.submit_to_start import measure as measure_api

API: Final = "low, by the API"
_HOUR_SECONDS: Final = 3_600
# More idle pollers on one queue find a task sooner, and receive nothing more often.
_OTHER_FLEETS: Final = (1, 16)
# Either floor has two queues with functions, and one of them a stream; the bare queue has one.
_MAPPINGS_OF_RIVALS: Final = 6


class Compared:
    """Pushlane and what stands beside it."""

    def __init__(self, place: Place, undo: ExitStack) -> None:
        session, slots = place.session, place.slots()
        self.place = place
        self.pushlane = Pushlane(place)
        self.floor: Chain = rival_parts(session, "floor", undo)[0].floor(session)
        self.committing: Chain = rival_parts(session, "committing", undo)[0].committing_floor(session)
        self.bare_queue: Chain = rival_parts(session, "queue", undo)[0].bare_queue(session)
        self.poll_1s = deployed_fleet(session, POLL, slots, 1.0, undo)
        self.poll_2s = deployed_fleet(session, "poll_2s", slots, 2.0, undo)
        self.others = [deployed_fleet(session, f"{POLL}, {n} pollers", n, 1.0, undo) for n in _OTHER_FLEETS]


def run_emulated(run: Run) -> None:
    """Deploy, measure section by section, remove everything."""
    with run.section("embedded AWS"), deployed(tenants()) as place, ExitStack() as undo:
        compared = Compared(place, undo)
        run.report.note("pollers", {one.name: one.pollers for one in _fleets(compared)})
        run.progress(f"deployed; the agent has {place.slots()} slots, so each fleet has as many pollers")
        run.do("low load", lambda: _low(run, compared))
        run.do("idle", lambda: _idle(run, compared))
        run.do("noisy neighbour", lambda: _neighbours(run, compared))
        run.do("burst", lambda: _burst(run, compared))
        run.do("steady load", lambda: _steady(run, compared))
        run.do("API", lambda: _api(run, place))


def _fleets(compared: Compared) -> list[PollingFleet]:
    return [compared.poll_1s, compared.poll_2s, *compared.others]


def _low(run: Run, compared: Compared) -> None:
    blocks: Blocks = [
        [compared.pushlane],
        [compared.floor],
        [compared.committing],
        [compared.poll_1s, compared.poll_2s],
    ]
    aside: Blocks = [[compared.bare_queue], compared.others]
    warm_up([*blocks, *aside])
    before = _received(compared)
    found = measure(run.scale.low, blocks, run.progress)
    _note_calls(run, compared, before)
    _note(run, LOW, found)
    low = {name: Percentiles.of(pickups) for name, pickups in found.items()}
    run.report.ratios.update(pickup_ratios(low))
    _note(run, LOW, measure(run.scale.aside, aside, run.progress))


def _received(compared: Compared) -> dict[str, int]:
    return {one.name: one.receives for one in (compared.poll_1s, compared.poll_2s)}


def _note_calls(run: Run, compared: Compared, before: dict[str, int]) -> None:
    """A task of a fleet: an event, its message, a delete, and the receives that it took, empty ones included."""
    for name, receives in _received(compared).items():
        run.report.calls_per_task[name] = round(3 + (receives - before[name]) / run.scale.low.count, 2)
    run.report.calls_per_task[compared.bare_queue.name] = 4.0


def _steady(run: Run, compared: Compared) -> None:
    blocks: Blocks = [[compared.pushlane], [compared.floor], [compared.poll_1s]]
    _note(run, run.scale.steady.name, measure(run.scale.steady, blocks, run.progress))


def _burst(run: Run, compared: Compared) -> None:
    blocks: Blocks = [[compared.pushlane], [compared.floor], [compared.poll_1s]]
    found = measure(run.scale.burst, blocks, run.progress)
    _note(run, run.scale.burst.name, found)
    drained = {name: round(run.scale.burst.block / max(pickups) * 1_000, 1) for name, pickups in found.items()}
    run.report.note("tasks_per_second_in_a_burst", drained)


def _neighbours(run: Run, compared: Compared) -> None:
    found = neighbours.measure(run.scale.neighbours, [compared.pushlane, compared.poll_1s], run.progress)
    run.report.ratios["burst_over_control"] = {name: one.burst_over_control_p99 for name, one in found.items()}
    quiet: dict[str, Any] = {
        name: {
            "quiet p50 beside control": one.control.p50,
            "p99": one.control.p99,
            "quiet p50 beside burst": one.burst.p50,
            "p99 ": one.burst.p99,
            "burst's own p99": one.extra_p99_burst,
            "samples": one.burst.samples,
        }
        for name, one in found.items()
    }
    run.report.note("noisy_neighbour_ms", quiet)


def _idle(run: Run, compared: Compared) -> None:
    """Empty receives of the fleets with nothing to do, by the hour."""
    fleets = [compared.poll_1s, compared.poll_2s]
    hours = {one.name: _empty_per_hour(one, run.scale.idle_seconds) for one in fleets}
    run.report.note("empty_reads_per_hour", hours)
    run.report.note("mappings", compared.place.mappings() - _MAPPINGS_OF_RIVALS)


def _empty_per_hour(fleet: PollingFleet, seconds: float) -> int:
    with fleet.awake():
        time.sleep(fleet.pause_seconds)  # by then all of them poll
        before = fleet.empty_receives
        time.sleep(seconds)
        empty = fleet.empty_receives - before
    return round(empty / seconds * _HOUR_SECONDS)


def _api(run: Run, place: Place) -> None:
    """From the call to the agent's first line, beside the same with functions that do nothing."""
    edge = with_api(place)
    if edge.installation.http_url is None:
        raise RuntimeError("the deployment has no HTTP API: see build/bench/deploy/deploy.log")
    measured = measure_api(
        edge.client,
        edge.session,
        http_url=edge.installation.http_url,
        credential=edge.api_key(),
        samples=run.scale.api_samples,
    )
    run.report.pickup_ms[API] = {
        "pushlane": told(measured.pushlane),
        "floor": told(measured.floor),
        "committing_floor": told(measured.committing_floor),
    }
    run.report.ratios["pushlane_over_floor_by_the_api"] = {
        "p50": measured.ratio_to_floor_p50,
        "p95": measured.ratio_to_floor_p95,
    }


def _note(run: Run, load: str, pickups: dict[str, list[float]]) -> None:
    of_load = run.report.pickup_ms.setdefault(load, {})
    of_load |= {name: told(Percentiles.of(found)) for name, found in pickups.items()}
    samples = run.report.more.setdefault("samples", {})
    samples |= {f"{load}: {name}": len(found) for name, found in pickups.items()}
