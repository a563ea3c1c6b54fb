"""A router that believes no producer unproven, and keys to prove it with."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.model.access_key import AccessKey, KeyKind
from pushlane.model.envelope_proof import EnvelopeKey, envelope_key, signed_envelope
from pushlane.model.keyring import KeyRing
from pushlane.model.principal import Role
from pushlane.router.app import Router
from pushlane.router.ports import RouterPorts
from pushlane.state.access_keys import add_key
from pushlane.testing import InMemoryDispatcher, sqs_event, submit_envelope
from pushlane.testing.deliveries import INTAKE
from pushlane.testing.dispatcher import RING, START_MS

DOOR_OF_ATLAS: Final = "arn:aws:sqs:us-east-1:1:door-of-atlas"


class Guarded:
    """A dispatcher whose router is not of stage local. `ring` can be changed, as a rotation does."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "borea"))
        self.ring = RING
        self._keys = 0
        self._messages = 0
        self.dispatcher.router = Router(self.ports)

    @property
    def ports(self) -> RouterPorts:
        return msgspec.structs.replace(
            self.dispatcher.router._ports,
            accept_unsigned_tenant=False,
            keyring=lambda: self.ring,
            tenant_doors={DOOR_OF_ATLAS: "atlas"},
        )

    def key(self, tenant_id: str | None = "atlas", role: Role = Role.PRODUCER, **said: Any) -> EnvelopeKey:
        """A new envelope key, stored."""
        self._keys += 1
        key_id = f"envelope{self._keys}"
        made = envelope_key(self.ring, key_id, tenant_id)
        stored = AccessKey(
            key_id=key_id,
            kind=KeyKind.ENVELOPE,
            role=role,
            tenant_id=tenant_id,
            created_at_ms=START_MS,
            kid=made.kid,
        )
        add_key(self.dispatcher.store, msgspec.structs.replace(stored, **said))
        return made

    def send(self, envelope: Mapping[str, Any] | bytes, queue: str = INTAKE) -> str | None:
        """Deliver one message; the code that it was refused with, None when it was not."""
        self._messages += 1
        body = envelope.decode() if isinstance(envelope, bytes) else json.dumps(envelope)
        event = sqs_event(queue, [(f"m-{self._messages}", body)])
        assert self.dispatcher.router.handle(event) == {"batchItemFailures": []}
        kept = self.dispatcher.quarantined()
        self.kept: dict[str, Any] = dict(kept[0]) if kept else {}
        return str(self.kept["code"]) if kept else None

    def tasks(self) -> set[str]:
        """The tenants that have tasks."""
        self.dispatcher.publish()
        return {str(fact.data.tenant_id) for fact in self.dispatcher.facts if fact.metadata.name == "TaskAccepted"}


def signed(key: EnvelopeKey, envelope: Mapping[str, Any]) -> bytes:
    return signed_envelope(msgspec.json.encode(envelope), key)


def a_submission(**data: Any) -> dict[str, Any]:
    return submit_envelope(**{"idempotency_key": "k-1", **data})


def a_command(name: str, /, **data: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "version": 1}, "data": data}


def rotated(ring: KeyRing, *, keep: bool) -> KeyRing:
    """The ring after a rotation: with the old keys, or without."""
    old = dict(ring.keys) if keep else {}
    return KeyRing("k9", {**old, "k9": b"the key after the rotation"})
