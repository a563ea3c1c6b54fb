"""The worlds of the report: a trace, the capacity it meets, and the tenant that the others must be protected from."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.simulator import worlds
from pushlane.simulator.setting import RateSetting, Setting, one_pool
from pushlane.simulator.tasks import SimTask, tasks_of
from pushlane.simulator.trace import TraceTask


class UnknownWorld(PushlaneError):
    """There is no world of that name, or its trace was not given."""


class World(Struct, frozen=True, kw_only=True):
    """`generator` names the rule that writes its trace; `noisy` the tenant whose flood the others should not feel."""

    name: str
    generator: str
    setting: Setting
    noisy: str | None = None


TPM: Final = RateSetting(
    name="llm-tokens", tokens_per_minute=275_000, burst_tokens=40_000, task_types=(worlds.LLM_TYPE,)
)
WORLDS: Final[Mapping[str, World]] = {
    world.name: world
    for world in (
        World(name="noisy-0.92", generator="noisy", setting=one_pool(22), noisy=worlds.NOISY_TENANT),
        World(name="conv-1.1", generator="conv", setting=one_pool(23)),
        World(name="conv-1.5", generator="conv", setting=one_pool(17)),
        World(name="tight-tpm", generator="tight-tpm", setting=one_pool(64, rates=(TPM,)), noisy=worlds.NOISY_TENANT),
        World(name="workflows", generator="workflows", setting=one_pool(22), noisy=worlds.NOISY_TENANT),
    )
}


def world_named(name: str) -> World:
    """The world of a name; raises `UnknownWorld` with the names there are."""
    if name not in WORLDS:
        raise UnknownWorld(f"there is no world {name!r}; choose from {', '.join(WORLDS)}")
    return WORLDS[name]


def rows_of(generator: str, seed: int, requests: Path | None) -> list[worlds.Row]:
    """What a generator writes; `conv` needs the recorded `requests`. Raises `UnknownWorld`, `InvalidTrace`, OSError."""
    match generator:
        case "noisy":
            return worlds.noisy(seed)
        case "tight-tpm":
            return worlds.tight_tpm(seed)
        case "workflows":
            return worlds.workflows(seed)
        case "conv" if requests is not None:
            with requests.open(newline="") as lines:
                return worlds.conv(lines, seed)
        case "conv":
            raise UnknownWorld(f"the conv worlds need a recorded trace. {WHERE}")
        case _:
            raise UnknownWorld(f"there is no generator {generator!r}; choose from noisy, conv, tight-tpm, workflows")


WHERE: Final = (
    "It is public: AzureLLMInferenceTrace_conv.csv (2023) in the Azure Public Dataset, "
    "github.com/Azure/AzurePublicDataset (CC-BY; Patel et al., Splitwise, ISCA 2024). Give its path as TRACE=."
)


@lru_cache(maxsize=4)
def trace_of(generator: str, seed: int, requests: Path | None) -> tuple[TraceTask, ...]:
    """The trace of a generator as tasks in order of arrival."""
    return tuple(worlds.tasks_from(rows_of(generator, seed, requests)))


def load_world(
    world: World, sigma: float = 0.0, seed: int = worlds.SEED, requests: Path | None = None
) -> list[SimTask]:
    """The tasks of a world as a scheduler sees them, in order of arrival."""
    return tasks_of(trace_of(world.generator, seed, requests), world.setting, sigma, seed)
