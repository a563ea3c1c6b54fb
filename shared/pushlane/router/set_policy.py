"""A policy that comes as an event of the ingress bus: it becomes the current one, or is refused by field."""

from typing import Final

import msgspec

from pushlane.model.errors import InvalidEvent
from pushlane.model.events import SetPolicy
from pushlane.model.policy_document import InvalidPolicy
from pushlane.router.intake import Record, decoded
from pushlane.router.turn import TurnPorts
from pushlane.state.policies import PolicyChange, PolicyMoved, StoredPolicy, set_policy
from pushlane.state.pools import wake_after_policy

_decoder: Final = msgspec.json.Decoder(SetPolicy)


def set_by_event(record: Record, ports: TurnPorts, now_ms: int, *, accept_unsigned: bool) -> StoredPolicy:
    """Do what a `SetPolicy` event asks for, and have every pool go by it; one delivered again changes nothing.

    Raises `InvalidEvent` for one that is refused (the policy before stays), and what the store raises: deliver again.
    """
    asked = decoded(record.body, _decoder).data
    if not accept_unsigned:
        raise InvalidEvent(
            "$.metadata.name",
            "a policy is taken from the bus only at stage local, or where the deployer vouches for every producer"
            " (context flag trusted_doors): `pushlane policy set` it with the operator's credentials",
            "unsigned_policy",
        )
    source = record.source
    change = PolicyChange(
        document=msgspec.json.encode(asked.policy),
        change_id=f"{source.door}:{source.source_id}",
        changed_by=f"event:{source.source_id}",
        expect_revision=asked.expect_revision,
    )
    try:
        made = set_policy(ports.store, change, now_ms)
    except InvalidPolicy as error:
        raise InvalidEvent(f"$.data.policy{error.field[1:]}", error.reason, "invalid_policy") from error
    except PolicyMoved as error:
        raise InvalidEvent("$.data.expect_revision", error.reason, "policy_moved") from error
    wake_after_policy(ports.store, ports.sender, ports.wakeups_queue_url, now_ms)
    return made
