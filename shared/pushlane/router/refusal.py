"""What is turned away at the door although it is well formed: the policy has no room for it, now or ever."""

from pushlane.model.errors import InvalidEvent
from pushlane.model.policy import Policy, SlotsOf
from pushlane.model.task import Task
from pushlane.ports import ItemStore
from pushlane.router.resolution import Resolved, met
from pushlane.scheduling.decisions import Reject
from pushlane.state.keys import task_key


def never_admitted(task: Task, policy: Policy) -> InvalidEvent | None:
    """Why the task could never run under the policy, naming the field; None when it could."""
    for name, amount in task.resources.items():
        rule, field = policy.resources.get(name), f"$.data.resources.{name}"
        if rule is None:
            reason = "the policy has no resource of this name: define it there, or leave it out"
            return InvalidEvent(field, reason, "unknown_resource")
        if isinstance(rule, SlotsOf) and amount > rule.slots:
            reason = f"{amount} slots, and there are {rule.slots}: ask for fewer, or raise resources.{name}.slots"
            return InvalidEvent(field, reason, "too_large")
    tenant = policy.tenant(task.tenant_id)
    for window, budget in (("day", tenant.tokens_per_day), ("month", tenant.tokens_per_month)):
        if budget.hard is not None and task.estimate.tokens > budget.hard:
            reason = f"{task.estimate.tokens} tokens, and the tenant's hard budget of a {window} is {budget.hard}"
            return InvalidEvent("$.data.estimate.tokens", reason, "too_large")
    return None


def no_room(refused: Reject) -> InvalidEvent:
    """Why a well-formed submission was turned away, with the time after which a repeat makes sense."""
    reason = f"{refused.reason}; try again after {refused.retry_after_seconds} s"
    return InvalidEvent("$.data.tenant_id", reason, refused.code)


def met_before(store: ItemStore, task: Task) -> Resolved | None:
    """What a submission is to the task that an earlier delivery of it made; None when there is none.

    Asked before a refusal only: room that is gone now says nothing about a task that was accepted when there was some.
    """
    found = store.get([task_key(task.task_id)]).get(task_key(task.task_id))
    return None if found is None else Resolved(met(task, found.attributes), found.attributes)
