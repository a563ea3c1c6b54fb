"""Steps of an attempt that are spans of their own in the task's trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pushlane.agent.flow import AttemptEnds
from pushlane.agent.ports import AgentPorts
from pushlane.model.events import Dispatch
from pushlane.model.span import Attribute, Span, SpanStatus
from pushlane.model.trace_context import read_traceparent, span_id_of

# Of one invocation: a loop of thousands of steps must not fill its memory, nor a trace that nobody could read.
STEPS_MAX: Final = 256
_NAME_CHARACTERS_MAX: Final = 120


class Steps:
    """The spans of one attempt's steps, as far as anybody wants them."""

    def __init__(self, dispatch: Dispatch, ports: AgentPorts) -> None:
        place, tracing = read_traceparent(dispatch.traceparent), ports.tracing
        wanted = tracing is not None and place is not None and tracing.wants(place.link)
        self._place = place if wanted else None
        self._dispatch = dispatch
        self._clock = ports.clock
        self._counts: dict[str, int] = {}
        self.spans: list[Span] = []

    @contextmanager
    def step(self, name: str) -> Iterator[str]:
        """The block is the step; see `TaskContext.span`."""
        begun_ms, failed = self._clock.now_ms(), None
        try:
            yield f"{self._dispatch.task_id}/{name}"
        except AttemptEnds:
            raise  # it goes on from its checkpoint, and has not failed
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            self._note(name, begun_ms, failed)

    def _note(self, name: str, begun_ms: int, failed: str | None) -> None:
        place, dispatch = self._place, self._dispatch
        if place is None or len(self.spans) == STEPS_MAX:
            return
        self._counts[name] = count = self._counts.get(name, 0) + 1
        attributes: dict[str, Attribute] = {
            "tenant_id": dispatch.tenant_id,
            "task_id": dispatch.task_id,
            "epoch": dispatch.epoch,
            "agent_id": dispatch.agent_id,
        }
        self.spans.append(
            Span(
                trace_id=place.trace_id,
                span_id=span_id_of(place.trace_id, dispatch.task_id, str(dispatch.epoch), "step", name, str(count)),
                parent_id=place.span_id,
                name=f"step {name[:_NAME_CHARACTERS_MAX]}",
                start_ms=begun_ms,
                end_ms=max(begun_ms, self._clock.now_ms()),
                attributes=attributes if failed is None else {**attributes, "error.type": failed},
                status=SpanStatus.OK if failed is None else SpanStatus.ERROR,
            )
        )
