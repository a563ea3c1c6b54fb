"""Every operation of the API: the operations of the concern modules, joined."""

from typing import Final

from pushlane.api import (
    admin,
    agents,
    attempts,
    callbacks,
    dead_letters,
    hooks,
    schedules,
    streams,
    tasks,
    tickets,
    workflows,
)
from pushlane.api.openapi import served
from pushlane.api.operations import Operation

_CONCERNS: Final[tuple[Operation, ...]] = (
    *tasks.OPERATIONS,
    *workflows.OPERATIONS,
    *streams.OPERATIONS,
    *tickets.OPERATIONS,
    *schedules.OPERATIONS,
    *agents.OPERATIONS,
    *attempts.OPERATIONS,
    *callbacks.OPERATIONS,
    *hooks.OPERATIONS,
    *dead_letters.OPERATIONS,
    *admin.OPERATIONS,
)

OPERATIONS: Final[tuple[Operation, ...]] = (*_CONCERNS, served(_CONCERNS))
