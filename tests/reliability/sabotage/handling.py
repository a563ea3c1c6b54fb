"""Defects in how handlers deal with what comes in and what fails."""

from typing import Final

from tests.reliability.sabotage.apply import Defect

HANDLING: Final = (
    Defect(
        name="throttle swallowed: a throttled arrival is taken as settled",
        file="router/resolution.py",
        old="        if one.reason is not CancelReason.CONDITION or origin is None:\n",
        new="        if one.reason is CancelReason.CONFLICT or origin is None:\n",
    ),
    Defect(
        name="conflict swallowed: a conflict is taken for a failed condition",
        file="router/resolution.py",
        old="        if one.reason is not CancelReason.CONDITION or origin is None:\n",
        new="        if one.reason is CancelReason.THROTTLED or origin is None:\n",
    ),
    Defect(
        name="a failed turn's arrivals are acknowledged",
        file="router/acceptance.py",
        old="self._settled(task, said)))\n",
        new="self._settled(task, said or Resolved(Resolution.MOOT))))\n",
    ),
    Defect(
        name="token reuse",
        file="router/turn.py",
        old="            self._ports.store.transact(commit.operations, self._ports.new_token())\n",
        new='            self._ports.store.transact(commit.operations, f"turn-{self._pool}"[:36])\n',
    ),
    Defect(
        name="wake-up lost: it is recorded and not sent",
        file="router/turn.py",
        old="[Message(to_json(wake), delay_seconds)])\n",
        new="[Message(to_json(wake), delay_seconds)][1:])\n",
    ),
    Defect(
        name="the sweep stops when it is idle",
        file="router/sweep.py",
        old="            due += run_due(ports, pusher, pool)\n",
        new="            due += run_due(ports, pusher, pool) if redriven else 0\n",
    ),
    Defect(
        name="the sweep visits the first pool only",
        file="router/sweep.py",
        old="    return sorted({*registered, *ports.policies.current().pools})\n",
        new="    return sorted({*registered, *ports.policies.current().pools})[:1]\n",
    ),
    Defect(
        name="repair without revision",
        file="router/repair.py",
        old='{"revision": 1}, (), (unmoved, as_read))\n',
        new='{"revision": 1}, (), (unmoved, as_read)[2:])\n',
    ),
    Defect(
        name="repair counts the attempts of the first bucket only",
        file="router/repair.py",
        old="for bucket in range(keys.ATTEMPT_BUCKETS)):\n",
        new="for bucket in range(1)):\n",
    ),
    Defect(
        name="quarantine: a refused record is dropped",
        file="router/quarantine.py",
        old="        if self._sender.send(self._queue_url, [Message(_kept(rejection))]):\n",
        new="        if self._sender.send(self._queue_url, [Message(_kept(rejection))]) is None:\n",
    ),
    Defect(
        name="held: what the queue did not take is dropped",
        file="router/held.py",
        old="    return [held[index].record.item_id for index in refused]\n",
        new="    return [held[index].record.item_id for index in refused[len(held) :]]\n",
    ),
    Defect(
        name="a stream's batch is taken although records failed",
        file="router/app.py",
        old="        if failed:\n            raise StreamBatchUnfinished(\n",
        new="        if len(failed) > len(records):\n            raise StreamBatchUnfinished(\n",
    ),
    Defect(
        name="refused facts are forgotten",
        file="router/lifecycle.py",
        old="    if refused:\n        raise FactsNotPublished(",
        new="    if len(refused) > len(facts):\n        raise FactsNotPublished(",
    ),
    Defect(
        name="finished attempts are not looked for",
        file="state/loading.py",
        old="    expired = sorted((a for a in leased if",
        new="    expired = sorted((a for a in leased if a.outcome is None and",
    ),
    Defect(
        name="a duty is removed before it is carried out",
        file="router/duties.py",
        old="        left += FULFIL[duty.kind](ports, pusher, duty)\n",
        new="        ports.store.write(Delete(keys.duty_key(duty.pool, duty.due_ms, duty.subject_id, duty.kind)))\n"
        "        left += FULFIL[duty.kind](ports, pusher, duty)\n",
    ),
    Defect(
        name="a signal wakes nobody",
        file="router/signals.py",
        old='    if at_hand.status is not Status.SUSPENDED or at_hand.stored.get("awaits") != said.name:\n',
        new='    if at_hand.status is not Status.BLOCKED or at_hand.stored.get("awaits") != said.name:\n',
    ),
)
