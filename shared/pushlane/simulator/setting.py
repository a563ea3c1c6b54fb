"""What a simulated world consists of: pools of agent slots, shared rates, caps on tenants."""

import re
from collections.abc import Mapping

from msgspec import Struct, field

from pushlane.model.errors import PushlaneError
from pushlane.model.task import DEFAULT_POOL


class InvalidSetting(PushlaneError):
    """A world cannot be simulated as described; the message names the part."""


class PoolSetting(Struct, frozen=True, kw_only=True):
    """`slots` spread evenly over `agents`. Takes tasks of `task_types`; a pool without types takes the rest."""

    name: str = DEFAULT_POOL
    slots: int
    agents: int = 1
    task_types: tuple[str, ...] = ()


class RateSetting(Struct, frozen=True, kw_only=True):
    """A budget of tokens (tokens in + out of a task), refilled evenly, shared by all pools.

    `burst_tokens` may be spent at once. Tasks of `task_types` draw on it; without types all tasks do.
    """

    name: str
    tokens_per_minute: int
    burst_tokens: int
    task_types: tuple[str, ...] = ()


class Setting(Struct, frozen=True, kw_only=True):
    """Capacity of a world. `caps`: the most tasks of a tenant that may run at once, where limited."""

    pools: tuple[PoolSetting, ...]
    rates: tuple[RateSetting, ...] = ()
    caps: Mapping[str, int] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        return sum(pool.slots for pool in self.pools)


def one_pool(slots: int, *, agents: int = 1, rates: tuple[RateSetting, ...] = ()) -> Setting:
    """The usual world: one pool that takes every task."""
    return checked(Setting(pools=(PoolSetting(slots=slots, agents=agents),), rates=rates))


def checked(setting: Setting) -> Setting:
    """The setting itself; raises `InvalidSetting` when it cannot be simulated."""
    if not setting.pools:
        raise InvalidSetting("there is no pool; at least one is needed")
    if len({pool.name for pool in setting.pools}) < len(setting.pools):
        raise InvalidSetting("two pools have the same name")
    for pool in setting.pools:
        if pool.agents < 1 or pool.slots < pool.agents:
            raise InvalidSetting(f"pool {pool.name}: {pool.slots} slots on {pool.agents} agents; each needs at least 1")
    for rate in setting.rates:
        if rate.tokens_per_minute < 1 or rate.burst_tokens < 1:
            raise InvalidSetting(f"rate {rate.name}: tokens per minute and burst must be at least 1")
    return setting


def pool_of(setting: Setting, task_type: str) -> str:
    """The pool that takes tasks of a type; raises `InvalidSetting` when none does."""
    for pool in setting.pools:
        if task_type in pool.task_types:
            return pool.name
    for pool in setting.pools:
        if not pool.task_types:
            return pool.name
    raise InvalidSetting(f"no pool takes tasks of type {task_type!r}; leave one pool without task types for the rest")


def parse_pool(text: str) -> PoolSetting:
    """`NAME=SLOTS[/AGENTS][:TYPE,TYPE]`; raises `InvalidSetting`."""
    found = re.fullmatch(r"(?P<name>[\w.-]+)=(?P<slots>\d+)(/(?P<agents>\d+))?(:(?P<types>[^:]+))?", text)
    if found is None:
        raise InvalidSetting(f"pool {text!r} is not NAME=SLOTS[/AGENTS][:TYPE,TYPE], such as browsers=8/2:crawl,shop")
    agents = int(found["agents"]) if found["agents"] else 1
    return PoolSetting(name=found["name"], slots=int(found["slots"]), agents=agents, task_types=_types(found["types"]))


def parse_rate(text: str) -> RateSetting:
    """`NAME=TOKENS_PER_MINUTE[/BURST][:TYPE,TYPE]`, a minute's worth of burst by default; raises `InvalidSetting`."""
    found = re.fullmatch(r"(?P<name>[\w.-]+)=(?P<rate>\d+)(/(?P<burst>\d+))?(:(?P<types>[^:]+))?", text)
    if found is None:
        raise InvalidSetting(
            f"rate {text!r} is not NAME=TOKENS_PER_MINUTE[/BURST][:TYPE,TYPE], such as gpt=300000/50000:summarise"
        )
    return RateSetting(
        name=found["name"],
        tokens_per_minute=int(found["rate"]),
        burst_tokens=int(found["burst"] or found["rate"]),
        task_types=_types(found["types"]),
    )


def _types(text: str | None) -> tuple[str, ...]:
    return tuple(part for part in (text or "").split(",") if part)
