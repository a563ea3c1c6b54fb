"""Who vouches for the tenant that an envelope names. On most doors the router sees no caller, so something has to say:
the door itself (one that belongs to a tenant), a proof in the metadata, or, for an attempt's own submissions, the
reservation token. Everything that is there has to hold; where nothing is there, the deployer may vouch for all.
"""

from typing import Any, Final

from pushlane.model import token
from pushlane.model.access_key import AccessKey, KeyKind
from pushlane.model.commands import AgentHeartbeat, AgentHeartbeatData, CancelTask, CancelWorkflow
from pushlane.model.envelope_proof import Proof, check_proof, envelope_key, unrepeatable
from pushlane.model.errors import InvalidEvent, InvalidToken
from pushlane.model.events import SubmitTask
from pushlane.model.principal import Role
from pushlane.router.intake import FOREIGN_TENANT, UNPROVEN, Record, Said
from pushlane.router.ports import RouterPorts

REPLAYABLE: Final = "replayable"
HEARTBEAT_BELIEVED_MS: Final = 60_000
_PROOF: Final = "$.metadata.proof"
_TENANT: Final = "$.data.tenant_id"
_SPEAK_FOR_TENANTS: Final = frozenset({Role.PRODUCER, Role.OPERATOR, Role.ADMIN})
_TO_SIGN: Final = (
    "have it signed by an envelope key (`pushlane keys create --kind envelope`), send it through a door of the tenant's"
    " own, or use the HTTP API; unsigned, this door takes it only at stage local, or where the deployer vouches for"
    " every producer (context flag trusted_doors)"
)


class Vouching:
    """Checks one record at a time."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports

    def check(self, record: Record, said: Said) -> None:
        """Raises `InvalidEvent` unless somebody vouches for what the record says and its tenant is active, and what
        the store raises.
        """
        tenant_id: str | None = getattr(said.data, "tenant_id", None)
        vouched = [
            self._by_door(record, tenant_id),
            self._by_proof(record, said, tenant_id),
            self._by_token(said),
            self._ports.accept_unsigned_tenant,
        ]
        if not any(vouched):
            raise _unsigned(tenant_id)
        if tenant_id is not None and tenant_id not in self._open(said):
            raise InvalidEvent(_TENANT, "no active tenant of this id: `pushlane tenants add` it", "unknown_tenant")

    def _open(self, said: Said) -> frozenset[str]:
        """The tenants of which it is heard. Of one that is being erased nothing comes in, but what it has is ended."""
        tenants = self._ports.tenants
        return tenants.active() | (tenants.erasing() if isinstance(said, CancelTask | CancelWorkflow) else frozenset())

    def _by_door(self, record: Record, tenant_id: str | None) -> bool:
        bound = record.bound_tenant
        if bound is not None and tenant_id is not None and tenant_id != bound:
            reason = f"came through the door of tenant {bound}, which speaks for no other"
            raise InvalidEvent(_TENANT, reason, FOREIGN_TENANT)
        return bound is not None and tenant_id is not None

    def _by_proof(self, record: Record, said: Said, tenant_id: str | None) -> bool:
        proof = said.metadata.proof
        if proof is None:
            return False
        key = self._access_key(proof)
        try:
            signing = envelope_key(self._ports.keyring(), key.key_id, key.tenant_id, proof.kid)
            check_proof(proof, record.body, signing)
        except InvalidToken as error:
            raise InvalidEvent(_PROOF, str(error), UNPROVEN) from error
        if tenant_id is not None:
            _check_speaker(key, tenant_id)
        if (field := unrepeatable(said.metadata.name, said.data)) is not None:
            reason = "a signed envelope needs it, so that whoever repeats the envelope changes nothing"
            raise InvalidEvent(f"$.data.{field}", reason, REPLAYABLE)
        if isinstance(said, AgentHeartbeat):
            _check_heartbeat(key, said.data, self._ports.turn.clock.now_ms())
        return True

    def _access_key(self, proof: Proof) -> AccessKey:
        """The key of the proof. One reason for all that is wrong with it: whoever guesses ids learns nothing."""
        key, now_ms = self._ports.access_key(proof.key_id), self._ports.turn.clock.now_ms()
        if key is None or key.kind is not KeyKind.ENVELOPE or key.kid != proof.kid or not key.usable(now_ms):
            raise InvalidEvent(
                f"{_PROOF}.key_id", "no envelope key of this id is active: is it revoked or expired?", UNPROVEN
            )
        return key

    def _by_token(self, said: Said) -> bool:
        """A child that a running attempt submits: for its own tenant, and as the child of its own task."""
        if not isinstance(said, SubmitTask) or said.metadata.token is None:
            return False
        try:
            claims = token.verify(said.metadata.token, self._ports.keyring(), self._ports.turn.clock.now_ms())
        except InvalidToken as error:
            raise InvalidEvent("$.metadata.token", str(error), UNPROVEN) from error
        if claims.tenant_id != said.data.tenant_id:
            raise InvalidEvent(_TENANT, "the reservation token is of another tenant's task", FOREIGN_TENANT)
        if said.data.parent is None or said.data.parent.task_id != claims.task_id:
            reason = "a reservation token vouches for children of its own task only"
            raise InvalidEvent("$.data.parent", reason, UNPROVEN)
        if said.data.idempotency_key is None:
            reason = "a child needs it, so that whoever repeats the envelope changes nothing"
            raise InvalidEvent("$.data.idempotency_key", reason, REPLAYABLE)
        return True


def _check_speaker(key: AccessKey, tenant_id: str) -> None:
    if key.role not in _SPEAK_FOR_TENANTS:
        raise InvalidEvent(_PROOF, f"a key of role {key.role} says nothing about a tenant's tasks", UNPROVEN)
    if not key.principal().may_speak_for(tenant_id):
        raise InvalidEvent(_TENANT, "the envelope is signed by a key of another tenant", FOREIGN_TENANT)


def _check_heartbeat(key: AccessKey, data: AgentHeartbeatData, now_ms: int) -> None:
    of_agent = key.role is Role.AGENT and key.pool == data.pool and key.agent_id in (None, data.agent_id)
    if not (of_agent or key.principal().of_installation):
        raise InvalidEvent(_PROOF, "the key does not speak for this agent", UNPROVEN)
    if abs(now_ms - (data.sent_at_ms or 0)) > HEARTBEAT_BELIEVED_MS:
        reason = f"a signed heartbeat is believed for {HEARTBEAT_BELIEVED_MS // 1_000} s: send a new one"
        raise InvalidEvent("$.data.sent_at_ms", reason, REPLAYABLE)


def _unsigned(tenant_id: Any) -> InvalidEvent:
    if tenant_id is None:
        return InvalidEvent(_PROOF, f"nobody vouches for the agent: {_TO_SIGN}", UNPROVEN)
    return InvalidEvent(_TENANT, f"nobody vouches for the tenant: {_TO_SIGN}", "unsigned_tenant")
