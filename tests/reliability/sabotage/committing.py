"""Defects in what a turn decides and commits."""

from typing import Final

from tests.reliability.sabotage.apply import Defect, Edit

COMMITTING: Final = (
    Defect(
        name="end: outcome digest check removed",
        file="state/changes.py",
        old='            Equals("outcome_digest", outcome_digest(over.outcome)),\n',
        new="",
    ),
    Defect(
        name="reclaim: exact lease check removed",
        file="state/changes.py",
        old='            Equals("lease_until_ms", over.attempt.lease_until_ms),\n',
        new="",
    ),
    Defect(
        name="reclaim: a finished attempt is reclaimed",
        file="state/changes.py",
        old='over.attempt.runner),\n            Missing("outcome_digest"),\n',
        new="over.attempt.runner),\n",
    ),
    Defect(
        name="accept: a repeated submission overwrites the task",
        file="state/transitions.py",
        old="new_task_attributes(task, status, epoch) | more, (Absent(),))\n",
        new="new_task_attributes(task, status, epoch) | more)\n",
    ),
    Defect(
        name="dispatch: the epoch does not move",
        file="scheduling/lineup.py",
        old="entry.epoch if entry.runner is not None else entry.epoch + 1,",
        new="max(1, entry.epoch),",
    ),
    Defect(
        name="double release of an agent's slot",
        file="state/commit.py",
        old='        delta = {"used": reserved - released, "revision": 1}\n',
        new='        delta = {"used": reserved - 2 * released, "revision": 1}\n',
    ),
    Defect(
        name="a handed slot is not released",
        file="state/commit.py",
        old='        delta = {"used": reserved - released, "revision": 1}\n',
        new='        delta = {"used": reserved if reserved else -released, "revision": 1}\n',
    ),
    Defect(
        name="a tenant's count is never returned",
        file="state/limits.py",
        old='    if change.in_flight:\n        add["in_flight"] = change.in_flight\n',
        new='    if change.in_flight > 0:\n        add["in_flight"] = change.in_flight\n',
    ),
    Defect(
        name="a resource's slots are never returned",
        file="state/limits.py",
        old='    if change.used:\n        add["used"] = change.used\n',
        new='    if change.used > 0:\n        add["used"] = change.used\n',
    ),
    Defect(
        name="what is given back during a wait stays reserved",
        file="state/commit.py",
        old="            _count(self.released, (held.agent_pool, held.agent_id))\n",
        new="            if type(decision).__name__ != 'GiveBack':\n"
        "                _count(self.released, (held.agent_pool, held.agent_id))\n",
    ),
    Defect(
        name="delayed item not deleted",
        file="state/changes.py",
        old="    if due_ms is not None:\n        left.append(Delete(keys.delayed_key(",
        new="    if due_ms is not None and parked:\n        left.append(Delete(keys.delayed_key(",
    ),
    Defect(
        name="delayed item not written",
        file="state/changes.py",
        old="    return [ended(over, Status.RETRYING, said), *_end(over, pool), delayed]\n",
        new="    return [ended(over, Status.RETRYING, said), *_end(over, pool)][: 3 if delayed.key else 0]\n",
    ),
    Defect(
        name="a deadline is watched although the task has gone on",
        file="state/changes.py",
        old="    if entry.hard and not parked and before is not Status.RETRYING:\n",
        new="    if entry.hard and not parked and before is Status.SUSPENDED:\n",
    ),
    Defect(
        name="ghost lane: a lane that was empty is not listed",
        file="state/lanes.py",
        old="        if value is not None and max(0, value) != before[name]\n",
        new="        if value is not None and before[name] is not None and max(0, value) != before[name]\n",
    ),
    Defect(
        name="ghost lane: lanes that become empty are still counted",
        file="state/lanes.py",
        old="        return (after > 0) - (before > 0)\n",
        new="        return max(0, (after > 0) - (before > 0))\n",
    ),
    Defect(
        name="the grave of a redriven task stays",
        file="state/dead.py",
        old='Status.RETRYING, said, ("ended_at_ms",)),\n        Delete(',
        new='Status.RETRYING, said, ("ended_at_ms",)),\n        Update(',
        also=(
            Edit(
                "state/dead.py",
                "(Present(),)),\n        Put(keys.delayed_key(",
                '{"v": 1}),\n        Put(keys.delayed_key(',
            ),
        ),
    ),
    Defect(
        name="the duty to tell of an end is not written",
        file="state/changes.py",
        old="    return _own_operations(decision, pool, now_ms) + beside + _attached(decision)\n",
        new="    return _own_operations(decision, pool, now_ms) + beside[1:] + _attached(decision)\n",
    ),
    Defect(
        name="a child is let go before all of its parents have ended",
        file="scheduling/workflow.py",
        old="    if len(known) < len(edges):\n",
        new="    if not known and edges:\n",
        also=(
            Edit(
                "router/telling.py",
                "    return last or fails(edge.on_failure, mark.end)\n",
                "    return True\n",
            ),
        ),
    ),
    Defect(
        name="wake-up lost: any armed one counts as covering",
        file="scheduling/wake.py",
        old="    covered = armed is not None and now_ms < armed <= earliest\n",
        new="    covered = armed is not None\n",
    ),
)
