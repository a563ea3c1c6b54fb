"""Invocations of handlers: at once, or on a strand of their own so that others run between two of their calls."""

import traceback
from collections.abc import Callable
from typing import Final

from pushlane.agent.heartbeat.inmemory import KeptInMemory
from pushlane.inmemory import ManualClock
from pushlane.model.errors import PushlaneError
from tests.reliability.audit import Audit
from tests.reliability.behaviour import Behaviour
from tests.reliability.broken import Broken
from tests.reliability.chance import Chance
from tests.reliability.strands import Crashed, Strand

_CALLS_MAX: Final = 5_000
_DEPTH_MAX: Final = 3
_GIVES_WAY: Final = 0.12
_STALLS_MS: Final = (5, 100, 1_500, 20_000, 40_000, 90_000)


class Invocation:
    """One run of a handler. `over` is called once it has ended, with what it died of. `ends_ms`: when the platform
    kills it, unless it is frozen, which the platform does not notice.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        over: Callable[[BaseException | None], None],
        *,
        behaviour: Behaviour = Behaviour.QUICK,
        ends_ms: int | None = None,
    ) -> None:
        self.name = name
        self.work = work
        self.over = over
        self.behaviour = behaviour
        self.ends_ms = ends_ms
        self.strand: Strand | None = None
        self.ready_ms = 0
        self.calls = 0
        self.call_id = ""
        self.task_id = ""  # of an agent's: what it works on
        self.heart: KeptInMemory | None = None
        self.died: BaseException | None = None


class Invocations:
    """Those that run, and those that stand still."""

    def __init__(self, clock: ManualClock, chance: Chance, audit: Audit) -> None:
        self._clock = clock
        self._chance = chance
        self._audit = audit
        self.stack: list[Invocation] = []
        self.paused: list[Invocation] = []
        self.gives_way = _GIVES_WAY
        self.errors: list[str] = []

    @property
    def current(self) -> Invocation:
        return self.stack[-1]

    @property
    def may_nest(self) -> bool:
        return len(self.stack) < _DEPTH_MAX

    def run(self, one: Invocation, *, apart: bool) -> None:
        """Run it to its end; `apart`: to its first pause, on a strand of its own."""
        if apart:
            one.strand = Strand(lambda: self._work(one))
            self._go_on(one)
        else:
            self.stack.append(one)
            self._work(one)
            self.stack.pop()
            one.over(one.died)

    def next_ready_ms(self) -> int | None:
        return min((one.ready_ms for one in self.paused), default=None)

    def ready(self) -> list[Invocation]:
        now_ms = self._clock.now_ms()
        return [one for one in self.paused if one.ready_ms <= now_ms]

    def resume(self, one: Invocation) -> None:
        """Let a paused one go on; it dies if its time is up."""
        self.paused.remove(one)
        if one.ends_ms is not None and one.ends_ms <= self._clock.now_ms() and one.behaviour is not Behaviour.FROZEN:
            self.kill(one)
        else:
            self._go_on(one)

    def thaw(self, one: Invocation) -> None:
        """Let one go on that stands still, whatever time it is, in the middle of another."""
        self.paused.remove(one)
        self._go_on(one)

    def kill(self, one: Invocation) -> None:
        """Its process is gone."""
        if one.strand is not None:
            self.stack.append(one)
            one.strand.kill()
            self.stack.pop()
        one.over(one.died)

    def kill_all(self) -> None:
        while self.paused:
            self.kill(self.paused.pop())

    def called(self) -> None:
        """The current one calls a port: it may give way, and it does not do so for ever."""
        one = self.current
        one.calls += 1
        if one.calls > _CALLS_MAX:
            self._audit.broken(Broken.STUCK, f"{one.name}: {one.calls} calls in one invocation")
            raise Crashed
        if one.strand is not None and self._chance.hit(self.gives_way):
            self._pause(one, 0)

    def stall(self) -> bool:
        """The current one stands still for a while, if it can."""
        if self.current.strand is None:
            return False
        self._pause(self.current, self._chance.pick(_STALLS_MS))
        return True

    def sleep(self, ms: int) -> None:
        """The current one works for so long; one that is not apart takes no time."""
        if self.current.strand is not None:
            self._pause(self.current, ms)

    def _pause(self, one: Invocation, ms: int) -> None:
        now_ms = self._clock.now_ms()
        one.ready_ms = now_ms + ms
        if one.ends_ms is not None and one.behaviour is not Behaviour.FROZEN:
            one.ready_ms = min(one.ready_ms, max(now_ms, one.ends_ms))
        assert one.strand is not None
        one.strand.pause()

    def _go_on(self, one: Invocation) -> None:
        assert one.strand is not None
        self.stack.append(one)
        ended = one.strand.resume()
        self.stack.pop()
        if ended:
            one.over(one.died)
        else:
            self.paused.append(one)

    def _work(self, one: Invocation) -> None:
        try:
            one.work()
        except (Crashed, PushlaneError) as error:
            one.died = error
        except Exception as error:  # any other is a defect of the handler, and a finding
            one.died = error
            self.errors.append(f"{one.name}: {''.join(traceback.format_exception(error))}")
