"""The courier: completion callbacks and dispatches to the URLs and connections of others, from its two queues.

It waits for other people's servers, so that no turn has to. A callback that was not taken comes back later and later,
and after the queue's last receive it lies among the dead letters.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pushlane.model.errors import PushlaneError
from pushlane.model.target_url import Answer
from pushlane.router.callback_delivery import deliver_callback, told_fact
from pushlane.router.courier_ports import CourierPorts
from pushlane.router.dispatch_delivery import deliver_dispatch, ordered

# Seconds until the next try, by the tries so far; about an hour in all. The last one only hands it to the dead letters.
WAITS_SECONDS: Final = (5, 30, 120, 300, 600, 900, 1_200, 5)
RECEIVES_MAX: Final = len(WAITS_SECONDS)
# What a receiver may ask for by `Retry-After`.
RETRY_AFTER_SECONDS_MAX: Final = 3_600
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class Courier:
    """Handles SQS events of the callbacks queue and of the outbound queue."""

    def __init__(self, ports: CourierPorts) -> None:
        self._ports = ports

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Deliver one batch, its messages side by side; answers with those to deliver again."""
        records = event["Records"]
        done = self._ports.side_by_side([partial(self._one, record) for record in records])
        failed = [record["messageId"] for record, ok in zip(records, done, strict=True) if not ok]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _one(self, record: Mapping[str, Any]) -> bool:
        """False: it comes again. What fails in a way that repeating may mend never raises."""
        try:
            if record["eventSourceARN"] == self._ports.outbound_queue_arn:
                deliver_dispatch(self._ports, ordered(record["body"]))
                return True
            return self._callback(record)
        except PushlaneError as error:
            self._later(record, None, f"{type(error).__name__}: {error}")
            return False

    def _callback(self, record: Mapping[str, Any]) -> bool:
        fact = told_fact(record["body"])
        answer = deliver_callback(self._ports, fact)
        if answer is None:
            return True
        if answer.taken:
            data = fact["data"]
            self._ports.log("callback-delivered", task_id=data["task_id"], tenant_id=data.get("tenant_id"))
            return True
        self._later(record, answer, f"answered {answer.status}")
        return False

    def _later(self, record: Mapping[str, Any], answer: Answer | None, reason: str) -> None:
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        seconds = wait_seconds(receives, self._ports.chance(), answer)
        self._ports.log(
            "not-delivered", message_id=record["messageId"], receives=receives, again_in_seconds=seconds, reason=reason
        )
        self._ports.postponer.postpone(record["eventSourceARN"], record["receiptHandle"], seconds)


def wait_seconds(receives: int, chance: float, answer: Answer | None) -> int:
    """How long until the next try: the table's, give or take a fifth, or longer where the receiver asks for it."""
    place = min(max(receives, 1), RECEIVES_MAX) - 1
    waits = WAITS_SECONDS[place] * (0.8 + 0.4 * chance)
    asked = "" if answer is None else answer.headers.get("retry-after", "")
    readable = _SECONDS.fullmatch(asked) is not None and place < RECEIVES_MAX - 1
    return max(1, round(waits), min(int(asked), RETRY_AFTER_SECONDS_MAX) if readable else 0)
