"""The published worlds that schedulers are compared on: `noisy`, `conv`, `tight-tpm`, `workflows`, by seeded rules.

One rule gives tiers and deadlines: tiers by weight 5/15/50/20/10 %; deadline = arrival + C[tier] + K[tier] * runtime.

- noisy: 20 steady tenants, one more floods high and normal for ten minutes.
- conv: a real hour of LLM requests with tenants (Zipf 1.1 over 20), tiers and deadlines attached. Bring the trace:
  `AzureLLMInferenceTrace_conv.csv` (2023) of the Azure Public Dataset (github.com/Azure/AzurePublicDataset, CC-BY;
  Patel et al., "Splitwise", ISCA 2024).
- tight-tpm: slots are ample and a tokens-per-minute budget is scarce; a quarter of the tasks call tools and need none.
- workflows: chains and fan-outs of 12 tenants, one more submits a burst of wide fan-outs. Every task of a workflow has
  the deadline of the whole: by the rule, with the longest path for the runtime and a quarter of K (2 at least), since a
  multiple of a whole path would leave more slack than a multiple of one task.
"""

import csv
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from pushlane.model.task import Tier
from pushlane.simulator.trace import COLUMNS, InvalidTrace, TraceTask, read_trace

TIERS: Final = tuple(tier.value for tier in Tier)
WEIGHTS: Final = (5, 15, 50, 20, 10)
C_SECONDS: Final = (2, 5, 30, 300, 1800)
K: Final = (2, 4, 10, 30, 100)
SEED: Final = 7
NOISY_TENANT: Final = "noisy"
LLM_TYPE: Final = "llm"
TOOL_TYPE: Final = "tool"

Row = list[object]


class _Drawn(Struct, frozen=True, order=True):
    """One task before its deadline is set; sorts by arrival."""

    at: float
    tenant: str
    tier: int
    tokens_in: int
    tokens_out: int
    runtime: float
    task_type: str = ""


def as_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Rows as the lines of a trace file, the header first."""
    written: list[str] = []
    writer = csv.writer(_Lines(written))
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return iter(written)


def tasks_from(rows: Iterable[Row]) -> list[TraceTask]:
    """Rows as tasks: exactly what reading the written file gives."""
    return read_trace(as_lines(rows))


def noisy(seed: int = SEED) -> list[Row]:
    """20 steady tenants, and one that floods high and normal from minute 10 to minute 20 of an hour."""
    rng = random.Random(seed)
    rows: list[tuple[float, str, int, int, float]] = []

    def stream(
        tenant: str, begin: float, end: float, rate: float, tiers: Sequence[int], weights: Sequence[int]
    ) -> None:
        at = begin
        while (at := at + rng.expovariate(rate)) < end:
            runtime = rng.lognormvariate(0.8, 0.9)
            tokens = round(runtime * 100)
            rows.append((at, tenant, rng.choices(tiers, weights)[0], tokens, runtime))

    for i in range(20):
        stream(f"t{i:02d}", 0.0, 3600.0, 0.2, range(5), WEIGHTS)
    stream(NOISY_TENANT, 600.0, 1200.0, 12.0, (1, 2), (3, 7))
    return [row(at, tenant, tier, tokens, 0, runtime) for at, tenant, tier, tokens, runtime in sorted(rows)]


def conv(requests: Iterable[str], seed: int = SEED) -> list[Row]:
    """A recorded hour of LLM requests (`TIMESTAMP,ContextTokens,GeneratedTokens`); raises `InvalidTrace`."""
    rng = random.Random(seed)
    tenants = [f"t{i:02d}" for i in range(20)]
    zipf = [1 / (i + 1) ** 1.1 for i in range(20)]
    rows: list[Row] = []
    start: float | None = None
    for line, request in enumerate(csv.DictReader(requests), start=2):
        at, tokens_in, tokens_out = _request(line, request)
        start = at if start is None else start
        runtime = 0.2 + tokens_in * 0.0002 + tokens_out * 0.02
        tier = rng.choices(range(5), WEIGHTS)[0]
        rows.append(row(at - start, rng.choices(tenants, zipf)[0], tier, tokens_in, tokens_out, runtime))
    return rows


def tight_tpm(seed: int = SEED) -> list[Row]:
    """An hour of prompts and tool calls of 12 tenants, and one that floods long prompts from minute 10 to minute 20."""
    rng = random.Random(seed)
    drawn: list[_Drawn] = []
    for number in range(12):
        for at in _poisson(rng, 0.0, 3600.0, 0.25):
            tier = rng.choices(range(5), WEIGHTS)[0]
            drawn.append(_tool(rng, at, f"t{number:02d}", tier) if rng.random() < 0.25 else _llm(rng, at, number, tier))
    for at in _poisson(rng, 600.0, 1200.0, 5.0):
        tier = rng.choices((1, 2, 3), (1, 7, 2))[0]
        drawn.append(_prompt(rng, at, NOISY_TENANT, tier, mean_log=7.2))
    return [
        row(one.at, one.tenant, one.tier, one.tokens_in, one.tokens_out, one.runtime, one.task_type)
        for one in sorted(drawn)
    ]


def workflows(seed: int = SEED) -> list[Row]:
    """An hour of chains and fan-outs of 12 tenants; one more submits 100 fan-outs of 40 from minute 10 to minute 15."""
    rng = random.Random(seed)
    started: list[tuple[float, str, int, str]] = []
    for number in range(12):
        for at in _poisson(rng, 0.0, 3600.0, 0.09):
            shape = rng.choices(("single", "chain", "fan-out"), (3, 4, 3))[0]
            started.append((at, f"t{number:02d}", rng.choices(range(5), WEIGHTS)[0], shape))
    started.extend(
        (rng.uniform(600.0, 900.0), NOISY_TENANT, rng.choices((2, 3), (7, 3))[0], "wide") for _ in range(100)
    )
    return [node for number, one in enumerate(sorted(started)) for node in _workflow(rng, f"w{number:04d}", *one)]


def _workflow(rng: random.Random, name: str, at: float, tenant: str, tier: int, shape: str) -> list[Row]:
    stages = _stages(rng, shape)
    runtimes = [[rng.lognormvariate(0.8, 0.9) for _ in range(width)] for width in stages]
    longest = sum(map(max, runtimes))
    rows: list[Row] = []
    parents: list[str] = []
    for stage, of_stage in enumerate(runtimes):
        names = [f"{name}-{stage}-{place}" for place in range(len(of_stage))]
        for task_id, runtime in zip(names, of_stage, strict=True):
            node = row(at, tenant, tier, round(runtime * 100), 0, runtime, "", task_id, ";".join(parents))
            node[COLUMNS.index("deadline_s")] = f"{at + C_SECONDS[tier] + max(2.0, K[tier] / 4) * longest:.3f}"
            rows.append(node)
        parents = names
    return rows


def _stages(rng: random.Random, shape: str) -> list[int]:
    match shape:
        case "single":
            return [1]
        case "chain":
            return [1] * rng.randint(3, 6)
        case "fan-out":
            return [1, rng.randint(4, 10), 1]
        case _:
            return [1, 40, 1]


def _llm(rng: random.Random, at: float, number: int, tier: int) -> _Drawn:
    return _prompt(rng, at, f"t{number:02d}", tier, mean_log=6.6)


def _prompt(rng: random.Random, at: float, tenant: str, tier: int, mean_log: float) -> _Drawn:
    tokens_in = min(8_000, round(rng.lognormvariate(mean_log, 0.8)))
    tokens_out = min(1_000, round(rng.lognormvariate(5.0, 0.7)))
    return _Drawn(at, tenant, tier, tokens_in, tokens_out, 0.2 + tokens_in * 0.0002 + tokens_out * 0.02, LLM_TYPE)


def _tool(rng: random.Random, at: float, tenant: str, tier: int) -> _Drawn:
    return _Drawn(at, tenant, tier, 0, 0, rng.lognormvariate(0.3, 0.6), TOOL_TYPE)


def _poisson(rng: random.Random, begin: float, end: float, rate: float) -> Iterator[float]:
    at = begin
    while (at := at + rng.expovariate(rate)) < end:
        yield at


def row(
    arrival: float,
    tenant: str,
    tier: int,
    tokens_in: int,
    tokens_out: int,
    runtime: float,
    task_type: str = "",
    task_id: str = "",
    depends_on: str = "",
) -> Row:
    """One line of a trace file, its deadline set by the rule."""
    deadline = arrival + C_SECONDS[tier] + K[tier] * runtime
    times = f"{arrival:.3f}", f"{runtime:.3f}", f"{deadline:.3f}"
    return [times[0], tenant, TIERS[tier], tokens_in, tokens_out, times[1], times[2], task_type, task_id, depends_on]


def _request(line: int, request: dict[str, str]) -> tuple[float, int, int]:
    try:
        # Seven digits of a second are recorded, six can be read.
        at = datetime.fromisoformat(request["TIMESTAMP"][:26]).timestamp()
        return at, int(request["ContextTokens"]), int(request["GeneratedTokens"])
    except (KeyError, TypeError, ValueError) as error:
        expected = "TIMESTAMP,ContextTokens,GeneratedTokens of the Azure Public Dataset, AzureLLMInferenceTrace_conv"
        raise InvalidTrace(f"line {line}: {error!r}; expected {expected}") from error


class _Lines:
    """What `csv.writer` writes into: it needs no more than `write`."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, line: str) -> int:
        self._lines.append(line)
        return len(line)
