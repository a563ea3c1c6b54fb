"""Many runs spread over the cores: every world, error of the estimates and policy is a job of its own."""

import os
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.policy import Policy
from pushlane.simulator.catalogue import load_world, world_named
from pushlane.simulator.curves import Curves, curves_of
from pushlane.simulator.figures import Figures, figures_of
from pushlane.simulator.policies import PUSHLANE, policy_named
from pushlane.simulator.report import Line, sigma_name
from pushlane.simulator.run import simulate

J = TypeVar("J")
R = TypeVar("R")


class RunFailed(PushlaneError):
    """A run went wrong; the message has its seed and the command that repeats it."""


class Job(Struct, frozen=True, kw_only=True):
    """One run. `requests`: the recorded trace of the conv worlds."""

    world: str
    sigma: float
    policy: str
    seed: int
    requests: Path | None = None

    @property
    def replay(self) -> str:
        """The command that repeats this run alone."""
        trace = f" --requests {shlex.quote(str(self.requests))}" if self.requests is not None else ""
        where = f"--world {self.world} --sigma {sigma_name(self.sigma)} --policy {self.policy} --seed {self.seed}"
        return f"pushlane simulate worlds {where}{trace}"


class Result(Struct, frozen=True, kw_only=True):
    """What a job came to."""

    job: Job
    figures: Figures
    curves: Curves

    @property
    def line(self) -> Line:
        world = world_named(self.job.world)
        return Line(
            world=world.name,
            slots=world.setting.slots,
            seed=self.job.seed,
            noisy_tenant=world.noisy,
            sigma=self.job.sigma,
            policy=self.job.policy,
            figures=self.figures,
        )


def jobs_of(
    worlds: Sequence[str], sigmas: Sequence[float], policies: Sequence[str], seed: int, requests: Path | None
) -> list[Job]:
    """All combinations, in the order of the report; raises when a name is unknown."""
    for policy in policies:
        policy_named(policy)
    return [
        Job(
            world=world_named(world).name,
            sigma=sigma,
            policy=policy,
            seed=seed,
            requests=requests if world_named(world).generator == "conv" else None,
        )
        for world in worlds
        for sigma in sigmas
        for policy in policies
    ]


def run_job(job: Job) -> Result:
    """Run one job here; raises `RunFailed`."""
    world = world_named(job.world)
    try:
        tasks = load_world(world, job.sigma, job.seed, job.requests)
        run = simulate(tasks, world.setting, policy_named(job.policy))
        return Result(
            job=job, figures=figures_of(run, world.noisy, credit_s(job.policy)), curves=curves_of(run, world.noisy)
        )
    except Exception as error:  # whatever it is, it must be possible to repeat it
        raise RunFailed(
            f"{job.world} under {job.policy}: {type(error).__name__}: {error}; seed {job.seed}, replay it: {job.replay}"
        ) from error


def spread(jobs: Sequence[J], work: Callable[[J], R], done: Callable[[R], None], workers: int | None = None) -> list[R]:
    """Do `work` on every job in as many processes as there are cores, begun in this order; `done` after each.

    Results are in the order of the jobs. The first error stops everything and is raised.
    """
    spawning = get_context("spawn")  # a fork of a process that has threads, such as a progress display, can hang
    results: dict[int, R] = {}
    with ProcessPoolExecutor(min(len(jobs), workers or cores()) or 1, mp_context=spawning) as executor:
        places = {executor.submit(work, job): place for place, job in enumerate(jobs)}
        try:
            for future in as_completed(places):
                result = results[places[future]] = future.result()
                done(result)
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
    return [results[place] for place in range(len(jobs))]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def credit_s(policy: str) -> float:
    """How far a policy lets urgency run ahead of fairness: Pushlane's stated credit, none for the baselines."""
    return Policy().urgency_credit_seconds if policy == PUSHLANE else 0.0
