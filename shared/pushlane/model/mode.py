"""How a tenant's tasks reach its agents while it moves from a polling fleet to push, and back."""

from enum import StrEnum
from typing import Final

from pushlane.model.ids import digest

_PARTS: Final = 100


class Route(StrEnum):
    """The two ways to an agent: Pushlane pushes to it, or the agent claims."""

    PUSH = "push"
    PULL = "pull"


class Mode(StrEnum):
    """What a tenant's policy says of its tasks; without one, whichever agent is free takes them."""

    POLL = "poll"  # only agents that claim get them
    SHADOW = "shadow"  # the same; `pushlane migrate status` plans beside that what pushing would have done
    PUSH = "push"  # only agents that are pushed to get them
    PERCENT = "percent"  # so many of a hundred are pushed, the others are claimed


def route_of_share(task_id: str, push_percent: int) -> Route:
    """Which way a task goes when so many of a hundred are pushed. Always the same for a task; a higher share pushes
    every task that a lower one pushes.
    """
    return Route.PUSH if int(digest("route", task_id)[:8], 16) % _PARTS < push_percent else Route.PULL
