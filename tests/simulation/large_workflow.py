"""A workflow of 1,000 nodes of mixed shape through the real handlers, with crashes in between; in virtual time.

    python -m tests.simulation.large_workflow --seed 7 --faults 0.01

Every call of the store takes `CALL_MS`, and with the given probability it is lost, before or after it was applied, and
with it the invocation that made it. Prints when the workflow was over and how long children waited after the end of
their last parent until they could go.
"""

import argparse
import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.agent import TaskContext, agent
from pushlane.inmemory.clock import ManualClock
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName
from pushlane.model.workflow import keyed_workflow_id, node_task_id
from pushlane.ports import Message, Write
from pushlane.state.workflows import load_row
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE
from pushlane.testing.dispatcher import START_MS

NODES: Final = 1_000
CALL_MS: Final = 4
SLOTS: Final = 50
_FAN: Final = 300
_CHAIN: Final = 200
_DIAMONDS: Final = 40
_SWEEPS_MAX: Final = 240


class Report(Struct, frozen=True, kw_only=True):
    """What came of it. `unblock_ms`: by percentile, over all nodes that had parents."""

    seed: int
    nodes: int
    faults: int
    status: str
    out_of_order: int
    twice: int
    virtual_seconds: float
    real_seconds: float
    unblock_ms: dict[str, int]


class Crashes:
    """Loses calls at random, from a seed; every call takes its time."""

    def __init__(self, clock: ManualClock, chance: random.Random, probability: float) -> None:
        self.armed = False
        self.count = 0
        self._clock = clock
        self._chance = chance
        self._probability = probability

    def before(self, name: str, operations: Sequence[Write]) -> None:
        self._clock.advance(CALL_MS if self.armed else 0)
        self._lose(f"{name} was not applied")

    def after(self, name: str, operations: Sequence[Write]) -> None:
        self._lose(f"the answer to {name} was lost")

    def _lose(self, what: str) -> None:
        if self.armed and self._chance.random() < self._probability / 2:
            self.count += 1
            raise StoreUnavailable(what)


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"n": 1}


def mixed_nodes(chance: random.Random) -> list[dict[str, Any]]:
    """1,000 nodes: a long chain, a fan-out of 300 and its fan-in, diamonds, and random layers."""
    nodes = [_node(f"chain{place}", [f"chain{place - 1}"] if place else []) for place in range(_CHAIN)]
    nodes += [_node("out"), *(_node(f"fan{place}", ["out"]) for place in range(_FAN))]
    nodes.append(_node("in", [f"fan{place}" for place in range(_FAN)]))
    for place in range(_DIAMONDS):
        top, left, right, bottom = (f"{part}{place}" for part in ("top", "left", "right", "bottom"))
        nodes += [_node(top), _node(left, [top]), _node(right, [top]), _node(bottom, [left, right])]
    free: list[str] = []
    while len(nodes) < NODES:
        after = chance.sample(free[-40:], min(len(free), chance.randint(0, 4)))
        free.append(f"free{len(free)}")
        nodes.append(_node(free[-1], after))
    return nodes


def _node(name: str, after: Sequence[str] = ()) -> dict[str, Any]:
    return {"name": name, "task_type": "echo", "depends_on": list(after), "estimate": {"runtime_seconds": 0.1}}


def run(seed: int, fault_probability: float) -> Report:
    """Run it to its end; it is over within some virtual hours, or the status says that it is not."""
    chance, clock, started = random.Random(seed), ManualClock(START_MS), time.monotonic()
    crashes = Crashes(clock, chance, fault_probability)
    dispatcher = InMemoryDispatcher(clock=clock, faults=crashes)
    dispatcher.register(echo, agent_id="one", slots=SLOTS)
    nodes = mixed_nodes(chance)
    crashes.armed = True
    _submit(dispatcher, nodes)
    workflow_id = keyed_workflow_id("atlas", "large")
    _run_out(dispatcher, workflow_id, crashes)
    return _report(dispatcher, workflow_id, nodes, seed, crashes.count, time.monotonic() - started)


def _submit(dispatcher: InMemoryDispatcher, nodes: Sequence[Mapping[str, Any]]) -> None:
    encoded = msgspec.json.encode({"tasks": nodes})
    claim = {"key": "claims/atlas/large", "bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}
    dispatcher.blobs.put(str(claim["key"]), encoded)
    data = {"tenant_id": "atlas", "idempotency_key": "large", "tasks": {"$claim_check": claim}}
    kept = {"id": "m", "envelope": {"metadata": {"name": "SubmitWorkflow", "version": 1}, "data": data}}
    dispatcher.sender.send(INTAKE, [Message(msgspec.json.encode(kept).decode())])


def _run_out(dispatcher: InMemoryDispatcher, workflow_id: str, crashes: Crashes) -> None:
    for _ in range(_SWEEPS_MAX):
        _survive(lambda: dispatcher.advance(60))
        _survive(dispatcher.sweep)
        crashes.armed = False
        row = load_row(dispatcher.store, workflow_id)
        if row is not None and row.status.terminal:
            break
        crashes.armed = True
    crashes.armed = False
    dispatcher.run_until_idle()


def _survive(step: Any) -> None:
    try:
        step()
    except StoreUnavailable:
        return  # this invocation died of it; the next one goes on


def _report(
    dispatcher: InMemoryDispatcher,
    workflow_id: str,
    nodes: Sequence[Mapping[str, Any]],
    seed: int,
    faults: int,
    real_seconds: float,
) -> Report:
    row = load_row(dispatcher.store, workflow_id)
    started = _first(dispatcher, FactName.TASK_DISPATCHED)
    ended = _first(dispatcher, FactName.TASK_SUCCEEDED)
    facts = {(f.metadata.fact_id, f.data.task_id) for f in dispatcher.facts_of(FactName.TASK_SUCCEEDED)}
    ids = {str(node["name"]): node_task_id(workflow_id, str(node["name"])) for node in nodes}
    edges = [(ids[parent], ids[str(node["name"])]) for node in nodes for parent in node["depends_on"]]
    out_of_order = [edge for edge in edges if started.get(edge[1], 0) < ended.get(edge[0], 1 << 60)]
    children = {child for _, child in edges}
    waits = sorted(int(str((dispatcher.task(child) or {}).get("unblock_ms", 1 << 60))) for child in children)
    return Report(
        seed=seed,
        nodes=len(nodes),
        faults=faults,
        status="LOST" if row is None else row.status.value,
        out_of_order=len(out_of_order),
        twice=len(facts) - len({task_id for _, task_id in facts}),
        virtual_seconds=0.0 if row is None else ((row.ended_at_ms or 0) - row.accepted.accepted_at_ms) / 1_000,
        real_seconds=round(real_seconds, 1),
        unblock_ms={name: waits[int(part * (len(waits) - 1))] for name, part in _PARTS.items()},
    )


_PARTS: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def _first(dispatcher: InMemoryDispatcher, name: FactName) -> dict[str, int]:
    """By task, when it first happened."""
    at: dict[str, int] = {}
    for fact in dispatcher.facts_of(name):
        at.setdefault(str(fact.data.task_id), fact.metadata.occurred_at_ms)
    return at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--faults", type=float, default=0.0, help="probability that a call of the store is lost")
    said = parser.parse_args()
    print(msgspec.json.format(msgspec.json.encode(run(said.seed, said.faults)), indent=2).decode())


if __name__ == "__main__":
    main()
