"""`plan` is a function of its arguments: no clock, no chance, no environment, no network, no order of hashing."""

import hashlib
import os
import random
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

import pushlane.router.turn as turn_module
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Input, PoolSnapshot
from tests.simulation.test_any_interleaving import Storm

_ROOT: Final = Path(__file__).parents[2]
_OUTSIDE: Final = [
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
    *((random, name) for name in ("random", "randrange", "choice", "shuffle", "uniform", "Random")),
    *((os, name) for name in ("getenv", "urandom", "getpid", "listdir", "environ")),
    *((secrets, name) for name in ("token_bytes", "randbelow")),
    (uuid, "uuid4"),
    *((socket, name) for name in ("socket", "create_connection", "getaddrinfo")),
]

Call = tuple[PoolSnapshot, Sequence[Input], int, bool]


class Forbidden:
    """Raises whatever is done with it."""

    def __call__(self, *_args: Any, **_named: Any) -> None:
        raise AssertionError("plan reached outside")

    def __getitem__(self, _key: object) -> None:
        raise AssertionError("plan reached outside")

    def __getattr__(self, _name: str) -> None:
        raise AssertionError("plan reached outside")


def calls_of(seed: int, steps: int, patch: Callable[..., None]) -> list[Call]:
    """Every call of `plan` in a storm: arrivals, ends, retries, limits, rates, preemption, overflow."""
    made: list[Call] = []

    def remembered(snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int, *, dispatch: bool = True) -> Any:
        made.append((snapshot, tuple(inputs), now_ms, dispatch))
        return plan(snapshot, inputs, now_ms, dispatch=dispatch)

    patch(turn_module, "plan", remembered)
    Storm(seed).rage(steps)
    return made


def outputs_of(calls: Sequence[Call]) -> list[object]:
    return [plan(snapshot, inputs, now_ms, dispatch=dispatch) for snapshot, inputs, now_ms, dispatch in calls]


def test_plan_runs_with_everything_outside_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(11, 20, monkeypatch.setattr)
    before, first = repr(calls), outputs_of(calls)
    with monkeypatch.context() as patched:
        for module, name in _OUTSIDE:
            patched.setattr(module, name, Forbidden())
        second = outputs_of(calls)
    assert len(calls) > 100
    assert second == first
    assert repr(calls) == before


def digest_of_plans() -> str:
    calls = calls_of(11, 12, setattr)
    return hashlib.sha256(repr(outputs_of(calls)).encode()).hexdigest()


def test_the_same_inputs_give_the_same_plan_in_any_process() -> None:
    """The order in which a process happens to hash strings decides nothing."""
    code = "from tests.simulation.test_plan_is_pure import digest_of_plans; print(digest_of_plans())"
    path = os.pathsep.join([str(_ROOT / "shared"), str(_ROOT)])
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
            cwd=_ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(told) == 1
