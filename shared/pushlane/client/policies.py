"""The policy for an operator: look at it, check one, set one."""

import uuid
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.policy import Policy
from pushlane.model.policy_document import parse_policy
from pushlane.ports import ItemStore
from pushlane.state import policies as stored

NEVER_SET: Final = 0


class PolicyUnknown(PushlaneError):
    """There is no revision of this number; `pushlane policy history` lists those that there are."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"policy revision {revision}: not found; `pushlane policy history` lists the revisions")
        self.revision = revision


class PolicyRevision(Struct, frozen=True, kw_only=True):
    """One revision: the document as it was set, by whom and when. Revision 0 is the defaults, which nobody set."""

    revision: int
    changed_at_ms: int | None
    changed_by: str | None
    policy: dict[str, Any]


def check_policy_document(document: bytes) -> Policy:
    """The policy that a document says, defaults filled in; raises `InvalidPolicy` naming the field."""
    return parse_policy(document)


def policy_of(store: ItemStore, revision: int | None = None) -> PolicyRevision:
    """A revision, without a number the current one; raises `PolicyUnknown`."""
    number = stored.current_revision(store) if revision is None else revision
    if number == NEVER_SET:
        return PolicyRevision(revision=NEVER_SET, changed_at_ms=None, changed_by=None, policy={})
    found = stored.stored_policy(store, number)
    if found is None:
        raise PolicyUnknown(number)
    return _revision(found)


def current_policy(store: ItemStore) -> Policy:
    """The policy that routers go by, defaults filled in; raises `InvalidPolicy` when it is of a version that this code
    cannot read.
    """
    number = stored.current_revision(store)
    found = None if number == NEVER_SET else stored.stored_policy(store, number)
    return Policy() if found is None else parse_policy(found.document.encode())


def change_policy(
    store: ItemStore, document: bytes, *, changed_by: str, now_ms: int, expect_revision: int | None = None
) -> PolicyRevision:
    """Set a policy, effective in running routers within a second. Raises `InvalidPolicy`, `PolicyMoved` and
    `PolicyContended`; in each case the policy before stays.
    """
    change = stored.PolicyChange(
        document=document, change_id=uuid.uuid4().hex, changed_by=changed_by, expect_revision=expect_revision
    )
    return _revision(stored.set_policy(store, change, now_ms))


def policy_revisions(store: ItemStore, limit: int) -> tuple[PolicyRevision, ...]:
    """The last `limit` revisions, newest first."""
    return tuple(map(_revision, stored.policy_history(store, limit)))


def _revision(found: stored.StoredPolicy) -> PolicyRevision:
    return PolicyRevision(
        revision=found.revision,
        changed_at_ms=found.changed_at_ms,
        changed_by=found.changed_by,
        policy=msgspec.json.decode(found.document),
    )
