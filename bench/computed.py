"""The sections that need no backend: counts, the cost model over them, the time that decisions and imports take."""

from typing import Any, Final

import msgspec

from bench import cost
from bench.counted_path import Tally
from bench.counts import Counted, idle_sweep, low_load, saturated
from bench.decisions import decisions, router_per_second
from bench.packages import FUNCTIONS, import_ms
from bench.report import POLL, PUSHLANE
from bench.sections import Run

WITH_LOG: Final = "pushlane_event_log"
SATURATED: Final = "pushlane_saturated"
SWEEP: Final = "idle sweep"
BARE_QUEUE: Final = "sqs_only"
STEP_FUNCTIONS: Final = "step_functions"
# Where the emulated section did not say: what the sample stacks have.
_MAPPINGS: Final = 10
_POLLERS: Final = 4
_MANY_SLOTS: Final = 100
_HOUR_SECONDS: Final = 3_600
_SWEEPS_PER_HOUR: Final = 60


def note_counts(run: Run) -> dict[str, Counted]:
    """Calls and units of a task, by kind of installation; and of an idle sweep."""
    low, full = low_load(run.scale.counted_tasks), saturated(run.scale.counted_tasks)
    counted = {
        PUSHLANE: low.without_event_log(),
        WITH_LOG: low,
        SATURATED: full.without_event_log(),
        SWEEP: idle_sweep(),
    }
    of_tasks = {name: one for name, one in counted.items() if name != SWEEP}
    run.report.calls_per_task |= {name: round(one.calls, 2) for name, one in of_tasks.items()}
    run.report.write_units_per_task |= {name: round(one.write_units, 2) for name, one in of_tasks.items()}
    run.report.write_units_per_task |= {POLL: 0.0, BARE_QUEUE: 0.0}
    run.report.note("read_units_per_task", {name: round(one.read_units, 2) for name, one in of_tasks.items()})
    run.report.note("index_units_among_them", {name: round(one.index_units, 2) for name, one in of_tasks.items()})
    run.report.note("write_units_by_step", _by_step(of_tasks))
    run.report.note("calls_by_operation", {name: _calls(one) for name, one in of_tasks.items()})
    run.report.note("idle_sweep", {"calls": counted[SWEEP].calls, "read units": counted[SWEEP].read_units})
    return counted


def _by_step(counted: dict[str, Counted]) -> dict[str, dict[str, float]]:
    """Only those with units."""
    steps = {name: one.of(lambda line: f"{line.step}: {line.target}") for name, one in counted.items()}
    return {name: {step: _units(of) for step, of in found.items() if of.write_units} for name, found in steps.items()}


def _units(tally: Tally) -> float:
    return round(tally.write_units, 2)


def _calls(counted: Counted) -> dict[str, float]:
    found = counted.of(lambda line: line.operation)
    return {name: round(tally.calls, 2) for name, tally in found.items() if tally.calls}


def note_decisions(run: Run) -> None:
    """CPU time of plans and turns, and of one router's whole work."""
    found = decisions(run.scale.decided_turns)
    run.report.decision_us.update({name: one.plan_us for name, one in found.items()})
    run.report.note("whole_turn_us", {name: one.turn_us for name, one in found.items()})
    run.report.note("router_tasks_per_cpu_second", router_per_second(run.scale.routed_tasks))


def note_imports(run: Run) -> None:
    """CPU time to import each function."""
    run.report.import_ms.update({name: import_ms(name, run.scale.imports) for name in FUNCTIONS})


def note_cost(run: Run, counted: dict[str, Counted]) -> None:
    """Dollars for a million tasks of each system, and all that was assumed for it."""
    prices = cost.read_prices()
    bills = _bills(run, counted, prices)
    run.report.usd_per_million.update({name: round(one.usd, 2) for name, one in bills.items()})
    _note_idle_reads(run, counted, prices.assumptions)
    by_meter = {name: {of: round(usd, 2) for of, usd in one.by_meter.items()} for name, one in bills.items()}
    run.report.note("usd_per_million_by_meter", by_meter)
    assumed: dict[str, Any] = msgspec.to_builtins(prices.assumptions)
    run.report.note("cost_assumptions", {"prices of": prices.as_of, "region": prices.region, **assumed})


def _note_idle_reads(run: Run, counted: dict[str, Counted], assumed: cost.Assumptions) -> None:
    """Beside the fleets' receives: what Lambda receives for us as AWS says (the emulator polls otherwise), and the
    sweep's reads.
    """
    hours: dict[str, float] = run.report.more.setdefault("empty_reads_per_hour", {})
    mappings = run.report.more.get("mappings", _MAPPINGS)
    hours[f"{PUSHLANE}: receives of {mappings} queues (assumed)"] = mappings * assumed.receives_per_hour_of_a_mapping
    hours[f"{PUSHLANE}: reads of sweeps (counted)"] = round(_SWEEPS_PER_HOUR * counted[SWEEP].calls)


def _bills(run: Run, counted: dict[str, Counted], prices: cost.Prices) -> dict[str, cost.Bill]:
    assumed = prices.assumptions
    hour = cost.idle_meters(run.report.more.get("mappings", _MAPPINGS), counted[SWEEP], assumed)
    ours = {name: cost.meters_of(counted[name], assumed) for name in (PUSHLANE, WITH_LOG, SATURATED)}
    bills = {name: cost.bill(prices, meters, hour) for name, meters in ours.items()}
    bills[STEP_FUNCTIONS] = cost.bill(prices, cost.step_functions_meters(assumed))
    empty: dict[str, float] = run.report.more.get("empty_reads_per_hour", {})
    for name, pause_seconds in ((POLL, 1), ("poll_2s", 2)):
        an_hour = empty.get(name, _POLLERS * _HOUR_SECONDS / pause_seconds)
        bills[name] = _polling(prices, an_hour)
    bills[f"{POLL}, {_MANY_SLOTS} pollers"] = _polling(prices, _MANY_SLOTS * _HOUR_SECONDS)
    queue_hour = {"sqs_requests": float(assumed.receives_per_hour_of_a_mapping)}
    bills[BARE_QUEUE] = cost.bill(prices, cost.sqs_only_meters(assumed), queue_hour)
    return bills


def _polling(prices: cost.Prices, empty_per_hour: float) -> cost.Bill:
    return cost.bill(prices, cost.polling_meters(), cost.polling_idle_meters(empty_per_hour))
