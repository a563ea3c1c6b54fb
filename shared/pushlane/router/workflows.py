"""Accept workflows: one transaction makes the workflow and the duty to bring it forward."""

from typing import Final

from pushlane.model.errors import InvalidEvent, PushlaneError
from pushlane.model.workflow import WorkflowStatus
from pushlane.ports import CancelReason, Item, TransactionCancelled
from pushlane.router.duties import carry_out
from pushlane.router.held import Held, hold
from pushlane.router.intake import Record
from pushlane.router.ports import RouterPorts
from pushlane.router.vouching import Vouching
from pushlane.router.wake_later import wake_later
from pushlane.router.workflow_document import CheckedWorkflow, checked_workflow
from pushlane.state.items import text, to_json
from pushlane.state.loading import Duty
from pushlane.state.workflows import FORWARD, accept_operations, row_of

ACCEPTED: Final = "accepted"
DUPLICATE: Final = "duplicate"


class Workflows:
    """Takes workflows in, one at a time."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports
        self._vouching = Vouching(ports)

    def take(self, record: Record) -> bool:
        """Accept the record's workflow and bring it forward; says whether the record is done with. Raises
        `InvalidEvent` for one that cannot be accepted, and what the store raises: then it is delivered again.
        """
        ports = self._ports
        now_ms = ports.turn.clock.now_ms()
        workflow = checked_workflow(
            record,
            now_ms,
            blobs=ports.turn.blobs,
            policy=ports.turn.policies.current(),
            vouch=self._vouching.check,
        )
        delay_seconds = self.over(workflow, now_ms)
        if delay_seconds is not None:
            held = Held(record=record, tenant_id=workflow.data.tenant_id, delay_seconds=delay_seconds)
            return not hold(ports.turn.sender, ports.held_queue_url, [held])
        self.accept(workflow, now_ms)
        return True

    def over(self, workflow: CheckedWorkflow, now_ms: int) -> int | None:
        """For how many seconds the workflow's tenant is over its bound; None when it is not."""
        data = workflow.data
        return self._ports.held.over(data.pool, data.tenant_id, now_ms, data.tier)

    def accept(self, workflow: CheckedWorkflow, now_ms: int) -> str:
        """Accept a checked workflow and bring it forward: `accepted`, or `duplicate` where it was accepted before.

        Raises `InvalidEvent` for its key with another body, and what the store raises.
        """
        said, accepted = self._accept(workflow, now_ms), workflow.accepted
        self._ports.log("workflow", workflow_id=accepted.workflow_id, tenant_id=accepted.tenant_id, resolution=said)
        return said

    def _accept(self, workflow: CheckedWorkflow, now_ms: int) -> str:
        accepted, turn = workflow.accepted, self._ports.turn
        operations = accept_operations(accepted, to_json(workflow.data), workflow.names, now_ms)
        wake_later(turn, accepted.pool)
        try:
            turn.store.transact(operations, turn.new_token())
        except TransactionCancelled as cancelled:
            met = cancelled.cancelled[0]
            if met.reason is not CancelReason.CONDITION or met.item is None:
                raise
            return self._met(workflow, met.item)
        self._forward(Duty(kind=FORWARD, subject_id=accepted.workflow_id, due_ms=now_ms, pool=accepted.pool))
        return ACCEPTED

    def _met(self, workflow: CheckedWorkflow, item: Item) -> str:
        """The same submission was accepted before; should that have stopped halfway, it goes on now."""
        accepted = workflow.accepted
        if text(item.attributes, "body_digest") != accepted.body_digest:
            reason = f"workflow {accepted.workflow_id} has this key and another body"
            raise InvalidEvent("$.data.idempotency_key", reason, "key_conflict")
        before = row_of(item.attributes)
        if before.status is WorkflowStatus.PENDING:
            due_ms, pool = before.accepted.accepted_at_ms, before.accepted.pool
            self._forward(Duty(kind=FORWARD, subject_id=accepted.workflow_id, due_ms=due_ms, pool=pool))
        return DUPLICATE

    def _forward(self, duty: Duty) -> None:
        """What is accepted stays so; what cannot be done now is found again by the next wake-up."""
        try:
            carry_out(self._ports.turn, self._ports.pusher, [duty])
        except PushlaneError as error:
            self._ports.log("duty-postponed", duties=1, error=str(error))
