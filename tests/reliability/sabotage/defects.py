"""The defects: fences removed, things done twice or not at all, errors swallowed."""

from typing import Final

from tests.reliability.sabotage.apply import Defect, Edit
from tests.reliability.sabotage.committing import COMMITTING
from tests.reliability.sabotage.handling import HANDLING

_AGENT: Final = (
    Defect(
        name="start: runner check removed",
        file="state/attempts.py",
        old='        AnyOf((Missing("runner"), Equals("runner", call_id))),\n        Missing("outcome_digest"),\n',
        new='        Missing("outcome_digest"),\n',
    ),
    Defect(
        name="finish: runner check removed",
        file="state/attempts.py",
        old='    fence: Conditions = (Equals("epoch", epoch), Equals("runner", call_id), said)\n',
        new='    fence: Conditions = (Equals("epoch", epoch), said)\n',
    ),
    Defect(
        name="check-in: fencing check removed",
        file="state/attempts.py",
        old="    conditions = (*_fence(epoch, call_id), _within_its_end(lease_until_ms))\n",
        new="    conditions = (_within_its_end(lease_until_ms),)\n",
    ),
    Defect(
        name="suspended in spite of an unseen signal",
        file="state/attempts.py",
        old="    if outcome.kind is OutcomeKind.SUSPENDED:\n",
        new="    if outcome.kind is OutcomeKind.SUSPENDED and not outcome.awaits:\n",
        also=(
            Edit(
                "scheduling/endings.py",
                "    unseen = finished.retry.signals > outcome.signals_seen\n",
                "    unseen = finished.retry.signals > outcome.signals_seen + 99\n",
            ),
        ),
    ),
    Defect(
        name="a checkpoint is not carried to the next attempt",
        file="state/changes.py",
        old='    kept: dict[str, Scalar] = {} if found is None else {"checkpoint": found}\n',
        new="    kept: dict[str, Scalar] = {}\n",
    ),
)
_MEASURES: Final = (
    Defect(
        name="a measure counts again when its batch comes again",
        file="telemetry/folding.py",
        old="    conditions = tuple(Missing(mark) for mark in facts)\n",
        new="    conditions = tuple(Missing(mark) for mark in facts)[:0]\n",
    ),
)
DEFECTS: Final[tuple[Defect, ...]] = (*_AGENT, *_MEASURES, *COMMITTING, *HANDLING)
