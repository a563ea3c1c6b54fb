"""Every operation of the API: the operations of the concern modules, joined."""

from typing import Final

from pushlane.api import (
    admin,
    agents,
    attempts,
    callbacks,
    console,
    dead_letters,
    hooks,
    identity,
    live,
    measures,
    schedules,
    streams,
    tasks,
    tickets,
    traces,
    workflows,
)
from pushlane.api.openapi import served
from pushlane.api.operations import Operation

_CONCERNS: Final[tuple[Operation, ...]] = (
    *tasks.OPERATIONS,
    *workflows.OPERATIONS,
    *streams.OPERATIONS,
    *tickets.OPERATIONS,
    *traces.OPERATIONS,
    *schedules.OPERATIONS,
    *agents.OPERATIONS,
    *attempts.OPERATIONS,
    *callbacks.OPERATIONS,
    *hooks.OPERATIONS,
    *dead_letters.OPERATIONS,
    *admin.OPERATIONS,
    *measures.OPERATIONS,
    *live.OPERATIONS,
    *identity.OPERATIONS,
    *console.OPERATIONS,
)

OPERATIONS: Final[tuple[Operation, ...]] = (*_CONCERNS, served(_CONCERNS))
