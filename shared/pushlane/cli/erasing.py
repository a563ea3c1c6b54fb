"""Erase a tenant from the command line: with an operator's own rights, and commands signed for this one occasion."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pushlane.aws.blobs import S3BlobStore
from pushlane.aws.secrets import signing_secret
from pushlane.cli import output
from pushlane.cli.target import Target, now_ms
from pushlane.client import Client
from pushlane.client.access_keys import KeyMaker, NewKey
from pushlane.client.erasure import Erased, Erasure, ErasurePorts
from pushlane.model.access_key import KeyKind
from pushlane.model.envelope_proof import EnvelopeKey
from pushlane.model.errors import PushlaneError
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.model.principal import Role
from pushlane.state.access_keys import remove_key

_REASON: Final = "its tenant is erased"
_KEY_LIFE_MS: Final = 24 * 3_600_000


class NotErased(PushlaneError):
    """Something of the tenant is left. It stays shut out; run it again."""


def erase_tenant(target: Target, tenant_id: str, timeout_seconds: float, *, json: bool) -> None:
    """Erase it and say what was removed. Raises `NotErased` when some is left."""
    with _signing_client(target) as client:
        ports = ErasurePorts(
            store=target.store,
            blobs=S3BlobStore(target.aws.s3, target.installation.claims_bucket),
            cancel_task=lambda task_id: client.cancel(tenant_id, task_id, reason=_REASON),
            cancel_workflow=lambda one: client.cancel_workflow(tenant_id, one, reason=_REASON),
            forget_schedule=_forgetter(target),
            now=time.monotonic,
            sleep=time.sleep,
            told=(lambda said: None) if json else (lambda said: output.note(f"{tenant_id}: {said}")),
        )
        erased = Erasure(ports, tenant_id).run(timeout_seconds)
    _say(erased, json=json)


def _say(erased: Erased, *, json: bool) -> None:
    if json:
        output.as_json(erased)
    else:
        rows = [(kind, str(count)) for kind, count in sorted(erased.removed.items())]
        output.answers(f"{erased.tenant_id}: cancelled {erased.cancelled}, removed", rows or [("nothing", "")])
    if not erased.complete:
        left = ", ".join(f"{count} {kind}" for kind, count in erased.left.items()) or "something that came in late"
        raise NotErased(f"tenant {erased.tenant_id}: left: {left}; it stays shut out: run it again")


@contextmanager
def _signing_client(target: Target) -> Iterator[Client]:
    """A client whose commands every door takes: signed with an envelope key of the installation that is made for this,
    and removed after it. Where the signing secret cannot be found they are sent as the operator's others are.
    """
    arn = target.installation.signing_secret_arn
    if arn is None:
        yield target.client
        return

    def ring() -> KeyRing:
        return ring_of(signing_secret(target.session.client("secretsmanager"), arn))

    expires_at_ms = now_ms() + _KEY_LIFE_MS
    new = NewKey(role=Role.OPERATOR, kind=KeyKind.ENVELOPE, name="erasing a tenant", expires_at_ms=expires_at_ms)
    made = KeyMaker(target.store, now_ms, ring).create(new)
    try:
        yield Client(target.installation, target.aws, envelope_key=EnvelopeKey.parse(made.text))
    finally:
        remove_key(target.store, made.key)


def _forgetter(target: Target) -> Callable[[str], None]:
    group = target.installation.schedule_group
    if group is None:
        return lambda _schedule_id: None  # without the API there is no scheduling service
    scheduler = target.session.client("scheduler")

    def forget(schedule_id: str) -> None:
        try:
            scheduler.delete_schedule(Name=schedule_id, GroupName=group)
        except scheduler.exceptions.ResourceNotFoundException:
            return

    return forget
