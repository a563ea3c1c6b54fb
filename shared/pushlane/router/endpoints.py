"""The ways to agents: which sender each kind of endpoint takes."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pushlane.model import endpoint
from pushlane.model.endpoint import BY_COURIER, Endpoint, EndpointKind
from pushlane.ports import Message, MessageSender
from pushlane.state.items import to_json

_NO_OTHERS: Final[Mapping[EndpointKind, MessageSender]] = {}


class Endpoints:
    """`Dispatching` over one sender a kind. `queues` serves agents' own queues and, by `outbound_queue_url`, the
    courier; without that URL, or without a sender of its kind in `others`, an endpoint accepts nothing.
    """

    def __init__(
        self,
        queues: MessageSender,
        others: Mapping[EndpointKind, MessageSender] = _NO_OTHERS,
        outbound_queue_url: str = "",
    ) -> None:
        self._senders = {EndpointKind.SQS: queues, **others}
        self._queues = queues
        self._outbound_queue_url = outbound_queue_url

    def send(self, endpoint: Endpoint, dispatches: Sequence[Message]) -> list[int]:
        """See `Dispatching.send`."""
        if not endpoint.pushed:
            return []
        if endpoint.kind in BY_COURIER and self._outbound_queue_url and endpoint.target:
            return self._queues.send(self._outbound_queue_url, [_outbound(endpoint, one) for one in dispatches])
        sender = self._senders.get(endpoint.kind)
        if sender is None or not endpoint.target:
            return list(range(len(dispatches)))
        if sender is self._queues:
            # Whose turn it is has been decided: fairness in an agent's own queue would cost and change nothing.
            dispatches = [msgspec.structs.replace(one, group=None) for one in dispatches]
        return sender.send(endpoint.target, dispatches)


def _outbound(to: Endpoint, dispatch: Message) -> Message:
    body = endpoint.Outbound(kind=to.kind, target=to.target, dispatch=msgspec.Raw(dispatch.body.encode()))
    return Message(to_json(body), group=dispatch.group, trace_header=dispatch.trace_header)
