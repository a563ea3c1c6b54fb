"""Why a task waits, said of a plan: the reason that holds now, not the one it was parked with."""

from typing import Final

from pushlane.scheduling.admission import Admission
from pushlane.scheduling.decisions import Block, Dispatch, ParkReason, Plan
from pushlane.scheduling.entry import RANKS, Entry, lane_of
from pushlane.scheduling.snapshot import PoolSnapshot

_MEANINGS: Final = {
    ParkReason.CAPACITY: "every agent that can run it is busy",
    ParkReason.NO_AGENT: (
        "no agent of its pool that takes work has the capabilities that it asks for; register one, or see by "
        "`pushlane agents` which is draining or unavailable"
    ),
    ParkReason.RATE: "{resource} has not enough left, or is paused",
    ParkReason.TENANT_QUOTA: "its tenant has reached its own cap or rate",
    ParkReason.WINDOW: "its tenant's token budget is spent",
    ParkReason.FAIRNESS: "other tasks of its tier go first, of tenants that had less or of its own",
    ParkReason.PRIORITY: "other tiers go first",
    ParkReason.CLAIM: (
        "its tenant's mode leaves it to pollers, and none claims it now; see `pushlane migrate status`, or push it:"
        " `pushlane migrate set TENANT push`"
    ),
    ParkReason.CONTENTION: "nothing keeps it: the next turn dispatches it",
}


def reason_now(snapshot: PoolSnapshot, planned: Plan, entry: Entry, now_ms: int) -> Block:
    """What keeps a waiting task, given what a turn without inputs would do now. The snapshot has the limits that the
    task leans on.
    """
    served = [one.entry for one in planned.decisions if isinstance(one, Dispatch)]
    if any(one.task_id == entry.task_id for one in served):
        return Block(ParkReason.CONTENTION)
    itself = Admission(snapshot, now_ms).can_admit(entry)
    if itself is not None:
        return itself
    block = dict(planned.blocks).get(lane_of(entry))
    if block is not None and block.reason is not ParkReason.CAPACITY:
        return block
    return _passed_by(snapshot, served, entry)


def meaning(block: Block) -> str:
    """The reason in words."""
    return _MEANINGS[block.reason].format(resource=block.resource)


def _passed_by(snapshot: PoolSnapshot, served: list[Entry], entry: Entry) -> Block:
    """It could run, and others take what is free."""
    rank = RANKS[entry.tier]
    shape = next((one for one in snapshot.shapes if one.shape == entry.shape), None)
    above = shape is not None and any(RANKS[tier] < rank and count for tier, count in shape.lanes.items())
    if served:
        above = any(RANKS[one.tier] != rank for one in served) and all(one.tier is not entry.tier for one in served)
    return Block(ParkReason.PRIORITY if above else ParkReason.FAIRNESS)
