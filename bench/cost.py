"""Dollars for a million tasks, from counted calls and a dated file of prices. Pure: nothing is measured here.

The agent's own work is left out everywhere, and so are the machines that a polling fleet runs on: they are the agents'
too, and what they cost while they wait speaks against polling.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.counted_path import LOG, Line, Tally
from bench.counts import Counted

PRICES: Final = Path(__file__).parent / "prices.json"
MILLION: Final = 1_000_000
_HOUR_SECONDS: Final = 3_600
_KILOBYTE: Final = 1_000
_MB_OF_GB: Final = 1_024
_FIFO: Final = "events"
# Their messages carry the tenant as the fairness group.
_FAIR: Final = ("intake",)
_OF_QUEUES: Final = frozenset({"SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"})
# Made for us by the platform, beside the function.
_NOT_WAITED_FOR: Final = frozenset({"ReceiveMessage", "DeleteMessageBatch", "Invoke", "in a transaction", LOG})
# Made by the lifecycle side by side with PutEvents, which each of its invocations makes once, and which takes longest.
_BESIDE_PUT_EVENTS: Final = frozenset({"SendMessageBatch", "PublishBatch", "UpdateItem"})

# What is paid for: how much of each meter.
Meters = Mapping[str, float]


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    usd: float
    source: str


class Assumptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What cannot be counted here. `milliseconds`: how long a function waits for each call on AWS, and its own time in
    each invocation. `log_bytes_of_a_rival`: its function's one line a task; ours are counted.
    """

    tasks_per_second: float
    milliseconds: Mapping[str, float]
    memory_mb: Mapping[str, int]
    log_bytes_of_a_rival: int
    receives_per_hour_of_a_mapping: int
    step_functions_transitions_per_task: int
    step_functions_write_units_per_task: int


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The price file."""

    as_of: str
    region: str
    currency: str
    note: str
    per_million: Mapping[str, Price]
    assumptions: Assumptions


def read_prices(path: Path = PRICES) -> Prices:
    """Raises `msgspec.ValidationError` that names what is wrong in the file."""
    return msgspec.json.decode(path.read_bytes(), type=Prices)


def meters_of(counted: Counted, assumed: Assumptions) -> dict[str, float]:
    """What one counted task (or sweep) is billed for."""
    meters: dict[str, float] = {}
    for line, tally in counted.lines.items():
        for meter, amount in _of_line(line, tally, assumed).items():
            meters[meter] = meters.get(meter, 0.0) + amount
    return meters


def _of_line(line: Line, tally: Tally, assumed: Assumptions) -> dict[str, float]:
    of_line = {"dynamodb_write_units": tally.write_units, "dynamodb_read_units": tally.read_units}
    if line.operation in _OF_QUEUES:
        of_line[_queue_meter(line.target)] = max(tally.requests, tally.calls)
    elif line.operation == "PutEvents":
        of_line["eventbridge_events"] = tally.requests
    elif line.operation == "PublishBatch":
        of_line["sns_requests"] = tally.requests
    elif line.operation == "Invoke":
        of_line["lambda_requests"] = tally.calls
    elif line.operation == LOG:
        of_line["log_kilobytes"] = tally.log_bytes / _KILOBYTE
    milliseconds = tally.calls * _waited_ms(line, assumed)
    if milliseconds:
        of_line["lambda_gb_seconds"] = milliseconds / 1_000 * assumed.memory_mb[line.step] / _MB_OF_GB
    return of_line


def _queue_meter(queue: str) -> str:
    if queue == _FIFO:
        return "sqs_fifo_requests"
    return "sqs_fair_requests" if queue.startswith(_FAIR) else "sqs_requests"


def _waited_ms(line: Line, assumed: Assumptions) -> float:
    """How long a function of ours is billed for the call; 0 for what no function of ours waits for."""
    if line.step not in assumed.memory_mb:
        return 0
    if line.operation == "Invoke":
        return assumed.milliseconds["invocation"]
    if line.step == "lifecycle" and line.operation in _BESIDE_PUT_EVENTS:
        return 0
    return 0 if line.operation in _NOT_WAITED_FOR else assumed.milliseconds[line.operation]


def idle_meters(mappings: int, sweep: Counted, assumed: Assumptions) -> dict[str, float]:
    """What an hour costs however little there is to do: empty receives of so many queues, and sixty sweeps."""
    hour = {name: 60 * amount for name, amount in meters_of(sweep, assumed).items()}
    empty = mappings * assumed.receives_per_hour_of_a_mapping
    return hour | {"sqs_requests": hour.get("sqs_requests", 0.0) + empty}


def polling_meters(calls: float = 1.0) -> dict[str, float]:
    """A task of a polling fleet that keeps no state: an event, its message, a receive and a delete."""
    return {"eventbridge_events": 1.0, "sqs_requests": 3.0 * calls}


def polling_idle_meters(empty_receives_per_hour: float) -> dict[str, float]:
    """An hour of its empty receives."""
    return {"sqs_requests": empty_receives_per_hour}


def sqs_only_meters(assumed: Assumptions) -> dict[str, float]:
    """A task of a queue with a function behind it: an event, its message, a receive, a delete, an invocation."""
    return {
        **polling_meters(),
        "lambda_requests": 1.0,
        "log_kilobytes": assumed.log_bytes_of_a_rival / _KILOBYTE,
        "lambda_gb_seconds": assumed.milliseconds["invocation"] / 1_000 * assumed.memory_mb["agent"] / _MB_OF_GB,
    }


def step_functions_meters(assumed: Assumptions) -> dict[str, float]:
    """A task as a standard workflow: started by an event; take a slot, run, give the slot back."""
    return {
        "eventbridge_events": 1.0,
        "step_functions_transitions": float(assumed.step_functions_transitions_per_task),
        "dynamodb_write_units": float(assumed.step_functions_write_units_per_task),
        "lambda_requests": 1.0,
        "log_kilobytes": assumed.log_bytes_of_a_rival / _KILOBYTE,
        "lambda_gb_seconds": assumed.milliseconds["invocation"] / 1_000 * assumed.memory_mb["agent"] / _MB_OF_GB,
    }


class Bill(Struct, frozen=True, kw_only=True):
    """Dollars for a million tasks by meter, the share of hours in which they come included."""

    by_meter: Mapping[str, float]

    @property
    def usd(self) -> float:
        return sum(self.by_meter.values())


def bill(prices: Prices, task: Meters, hour: Meters | None = None) -> Bill:
    """For a million tasks at the assumed rate: `task` of each, and `hour` for as long as they take to come. Raises
    `KeyError` for a meter without a price.
    """
    hours = MILLION / prices.assumptions.tasks_per_second / _HOUR_SECONDS
    amounts = {name: amount * MILLION for name, amount in task.items()}
    for name, amount in (hour or {}).items():
        amounts[name] = amounts.get(name, 0.0) + amount * hours
    priced = {name: amount * prices.per_million[name].usd / MILLION for name, amount in amounts.items()}
    return Bill(by_meter={name: usd for name, usd in sorted(priced.items(), key=lambda one: -one[1]) if usd})
