"""`ctx.waiting()`: slot and resources go back while the attempt waits for something, and are asked for again after it.

The attempt's own item decides, not the order of messages. Entering writes `waits` = n and `waiting`; leaving takes
`waiting` away, in one write. The router gives back only while `waiting` stands there, and writes `gave_back` = n with
it: so the answer to leaving says for certain whether anything was given back. Only then the agent asks for it again and
looks at its own item until `granted` = n. It runs on all the while: if it dies, its lease runs out like any other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pushlane.agent.attempt import LiveAttempt
from pushlane.model.events import Back, Waits
from pushlane.ports import Message
from pushlane.state.items import to_json

_FIRST_PAUSE_SECONDS: Final = 0.2
_PAUSE_SECONDS_MAX: Final = 2.0


@contextmanager
def waiting(live: LiveAttempt) -> Iterator[None]:
    """See `TaskContext.waiting`."""
    if live.waiting:
        raise ValueError("waiting() inside of waiting(): slot and resources are given back already")
    live.waits += 1
    number = live.waits
    live.say({"waits": number, "waiting": True})
    live.waiting = True
    live.end_if_ordered_to_cancel()
    _send(live, Waits(token=live.dispatch.token, runner=live.runner, number=number, usage=live.used.usage))
    try:
        yield
    except Exception:
        # The author may catch it and go on, and has to hold a slot for that.
        _come_back(live, number)
        raise
    _come_back(live, number)


def _come_back(live: LiveAttempt, number: int) -> None:
    found = live.say({"waiting": False})
    live.waiting = False
    if found.gave_back < number:
        return
    back = Back(token=live.dispatch.token, runner=live.runner, number=number)
    told = _send(live, back)
    pause_seconds = _FIRST_PAUSE_SECONDS
    while found.granted < number:
        live.end_if_ordered()  # to yield, too: its agent may take nothing any more, and another one goes on
        live.ports.sleep(pause_seconds)
        told = told or _send(live, back)
        pause_seconds = min(_PAUSE_SECONDS_MAX, 2 * pause_seconds)
        found = live.say()


def _send(live: LiveAttempt, word: Waits | Back) -> bool:
    refused = live.ports.sender.send(live.ports.results_queue_url, [Message(to_json(word))])
    if refused:
        live.ports.log("wait-untold", task_id=live.dispatch.task_id, reason="the results queue did not take it")
    return not refused
