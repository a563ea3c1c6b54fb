"""The policy in the config table: which revision is current, and every revision there ever was.

A revision never changes. What is current is one small item; setting a policy moves it by one, in a transaction
conditional on the revision that was read, so that two operators never overwrite each other unknowingly.
"""

from typing import Final

from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.events import FactName
from pushlane.model.ids import digest
from pushlane.model.policy import Policy
from pushlane.model.policy_document import InvalidPolicy, document_of, parse_policy
from pushlane.ports import Absent, CancelReason, Equals, Item, ItemStore, Put, Scalar, Table, TransactionCancelled
from pushlane.state.facts import fact_put
from pushlane.state.items import VERSION, number, text
from pushlane.state.keys import POLICY_REVISIONS, policy_change_key, policy_key, policy_revision_key

# An item holds 400 KB, and a revision is one item.
DOCUMENT_BYTES_MAX: Final = 350_000
HISTORY_MAX: Final = 100


class PolicyMoved(PushlaneError):
    """The policy is no longer the one that the change was made from; nothing was changed."""

    def __init__(self, expected: int, current: int) -> None:
        self.reason = (
            f"the policy is at revision {current}, and this change was made from revision {expected}; take"
            f" revision {current}, make the change in it, and set that"
        )
        super().__init__(f"$.revision: {self.reason}")
        self.expected = expected
        self.current = current


class PolicyContended(PushlaneError):
    """Somebody else is setting the policy at this very moment; nothing was changed. Repeat the call."""


class StoredPolicy(Struct, frozen=True, kw_only=True):
    """One revision as it was set: its document (JSON), who set it and when (Unix milliseconds)."""

    revision: int
    document: str
    changed_at_ms: int
    changed_by: str


class PolicyChange(Struct, frozen=True, kw_only=True):
    """What somebody wants set. `change_id` is the change's identity: delivered again it is applied once.
    `expect_revision`: the revision that it was made from; None takes the document's own, else the one current now.
    """

    document: bytes
    change_id: str
    changed_by: str
    expect_revision: int | None = None


def current_revision(store: ItemStore) -> int:
    """The revision that is current; 0 when no policy was ever set."""
    found = store.get([policy_key()]).get(policy_key())
    return 0 if found is None else number(found.attributes, "revision")


def stored_policy(store: ItemStore, revision: int) -> StoredPolicy | None:
    """One revision, or None when there is none of this number."""
    key = policy_revision_key(revision)
    found = store.get([key]).get(key)
    return None if found is None else _stored(found)


def current_policy(store: ItemStore) -> Policy:
    """The policy that routers go by, defaults filled in; raises `InvalidPolicy` when it is of a version that this code
    cannot read.
    """
    revision = current_revision(store)
    found = stored_policy(store, revision) if revision else None
    return Policy() if found is None else parse_policy(found.document.encode())


def policy_history(store: ItemStore, limit: int = HISTORY_MAX) -> tuple[StoredPolicy, ...]:
    """The last `limit` revisions up to the current one, newest first."""
    start = policy_revision_key(max(1, current_revision(store) - limit + 1)).sk
    items = store.query(Table.CONFIG, POLICY_REVISIONS, limit=limit, start=start)
    return tuple(_stored(item) for item in reversed(items))


def set_policy(store: ItemStore, change: PolicyChange, now_ms: int) -> StoredPolicy:
    """Make a document the current policy; running routers follow within a second. Answers with the new revision, or
    with the one that this very change made before.

    Raises `InvalidPolicy` for a document that is refused, `PolicyMoved` when the policy is not the expected one any
    more and `PolicyContended`; in each case the policy before stays.
    """
    said = parse_policy(change.document).revision
    kept = document_of(change.document)
    if len(kept.encode()) > DOCUMENT_BYTES_MAX:
        raise InvalidPolicy("$", f"{len(kept.encode())} bytes of JSON; at most {DOCUMENT_BYTES_MAX} are kept")
    expected = change.expect_revision if change.expect_revision is not None else said
    if expected is None:
        expected = current_revision(store)
    made = StoredPolicy(revision=expected + 1, document=kept, changed_at_ms=now_ms, changed_by=change.changed_by)
    try:
        store.transact(_writes(made, change.change_id), digest("policy", change.change_id, f"{made.revision}/{now_ms}"))
    except TransactionCancelled as cancelled:
        return _made_before(store, change.change_id, expected, cancelled)
    return made


def _writes(made: StoredPolicy, change_id: str) -> list[Put]:
    common: dict[str, Scalar] = {"v": VERSION, "changed_at_ms": made.changed_at_ms, "changed_by": made.changed_by}
    expected = made.revision - 1
    unmoved = (Equals("revision", expected),) if expected else (Absent(),)
    said: dict[str, Scalar] = {"revision": made.revision, "changed_by": made.changed_by}
    return [
        Put(policy_key(), {**common, "revision": made.revision}, unmoved),
        Put(policy_revision_key(made.revision), {**common, "document": made.document}, (Absent(),)),
        Put(policy_change_key(change_id), {"v": VERSION, "revision": made.revision}, (Absent(),)),
        fact_put(FactName.POLICY_CHANGED, digest("policy", str(made.revision)), made.changed_at_ms, said),
    ]


def _made_before(store: ItemStore, change_id: str, expected: int, cancelled: TransactionCancelled) -> StoredPolicy:
    """What an earlier delivery of the change made; else raises why this one was not applied."""
    mark = store.get([policy_change_key(change_id)]).get(policy_change_key(change_id))
    made = None if mark is None else stored_policy(store, number(mark.attributes, "revision"))
    if made is not None:
        return made
    if any(one.reason is CancelReason.CONDITION for one in cancelled.cancelled):
        raise PolicyMoved(expected, current_revision(store)) from cancelled
    raise PolicyContended("the policy is being set by somebody else right now; nothing was changed, set it again")


def _stored(item: Item) -> StoredPolicy:
    return StoredPolicy(
        revision=int(item.key.sk),
        document=text(item.attributes, "document"),
        changed_at_ms=number(item.attributes, "changed_at_ms"),
        changed_by=text(item.attributes, "changed_by"),
    )
