"""What a pull agent was given and has not started: its mailbox, from which a repeated claim is answered again.

One item for each task, beside the attempt, which is the truth: an item whose attempt was started, or is over, is taken
out by the next claim. An item with a claim's id is that claim's; one without is anybody's (its start lease ran out).
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.ports import (
    AnyOf,
    ConditionFailed,
    Delete,
    Equals,
    Item,
    ItemStore,
    Key,
    Missing,
    Put,
    Scalar,
    Table,
    Update,
)
from pushlane.state.items import VERSION, number, text

# One read of attempts. More than these have no claim in flight: what is beyond comes with the next claims.
_LETTERS_MAX: Final = 100


class Letter(Struct, frozen=True, kw_only=True):
    """One attempt that waits for its agent. `of_pool`: the pool whose task it is."""

    task_id: str
    epoch: int
    of_pool: str
    claim_id: str | None = None


def mailbox_pk(pool: str, agent_id: str) -> str:
    return f"MAILBOX#{pool}#{agent_id}"


def leave(store: ItemStore, pool: str, agent_id: str, letter: Letter) -> None:
    """Put an attempt into the agent's mailbox, or put it there again for anybody."""
    attributes: dict[str, Scalar] = {"v": VERSION, "epoch": letter.epoch, "of_pool": letter.of_pool}
    if letter.claim_id is not None:
        attributes["claim_id"] = letter.claim_id
    store.write(Put(_key(pool, agent_id, letter.task_id), attributes))


def letters(store: ItemStore, pool: str, agent_id: str) -> list[Letter]:
    """All that lies in the mailbox."""
    items = store.query(Table.SCHEDULER, mailbox_pk(pool, agent_id), limit=_LETTERS_MAX)
    return [_letter(item) for item in items]


def take(store: ItemStore, pool: str, agent_id: str, letter: Letter, claim_id: str) -> bool:
    """Make a letter the claim's; False when another claim has it."""
    mine = (
        Equals("epoch", letter.epoch),
        AnyOf((Missing("claim_id"), Equals("claim_id", claim_id))),
    )
    try:
        store.write(Update(_key(pool, agent_id, letter.task_id), set={"claim_id": claim_id}, conditions=mine))
    except ConditionFailed:
        return False
    return True


def clear(store: ItemStore, pool: str, agent_id: str, over: Sequence[Letter]) -> None:
    """Take out letters whose attempts need nobody to start them any more."""
    for letter in over:
        try:
            store.write(Delete(_key(pool, agent_id, letter.task_id), (Equals("epoch", letter.epoch),)))
        except ConditionFailed:
            continue  # a later attempt of the task lies there now


def _key(pool: str, agent_id: str, task_id: str) -> Key:
    return Key(Table.SCHEDULER, mailbox_pk(pool, agent_id), task_id)


def _letter(item: Item) -> Letter:
    a = item.attributes
    return Letter(
        task_id=item.key.sk,
        epoch=number(a, "epoch"),
        of_pool=text(a, "of_pool"),
        claim_id=text(a, "claim_id") if "claim_id" in a else None,
    )
