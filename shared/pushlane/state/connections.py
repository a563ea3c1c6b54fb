"""Live connections and what they follow: the connections table. Everything in it expires.

A subscription is written before the log is looked at, and whoever appends to a log looks for subscriptions after that:
so one of the two sees the other, and no event is missed between them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from pushlane.model.ids import digest
from pushlane.model.live import Connection, feed_log
from pushlane.model.principal import Principal
from pushlane.ports import (
    AtMost,
    ConditionFailed,
    Delete,
    Equals,
    Item,
    ItemStore,
    Key,
    Present,
    Put,
    Scalar,
    Table,
    TransactionCancelled,
    Update,
    Write,
)
from pushlane.state.items import number, text, to_json

VERSION: Final = 1
# API Gateway closes a connection after two hours.
CONNECTION_SECONDS: Final = 3 * 3600
FEED_OPEN_SECONDS: Final = 7 * 24 * 3600
_FEED_RENEWED_SECONDS: Final = 6 * 24 * 3600
SUBSCRIPTIONS_MAX: Final = 50
# Of one log; nobody beyond them is posted to before others have gone.
FOLLOWERS_MAX: Final = 2_000
_KEYS_MAX: Final = 100
CONNECTION: Final = "CONNECTION"
_FOLLOWS: Final = "FOLLOWS#"


class Subscription(Struct, frozen=True, kw_only=True):
    """A connection that follows a log. It was posted everything up to `cursor`."""

    log: str
    connection: Connection
    subscription_id: str
    cursor: int


class Connected(Struct, frozen=True, kw_only=True):
    """An open connection and who opened it."""

    connection: Connection
    principal: Principal
    opened_at_ms: int


def connection_key(connection_id: str) -> Key:
    return Key(Table.CONNECTIONS, f"CONNECTION#{connection_id}", CONNECTION)


def subscription_key(log: str, connection_id: str) -> Key:
    return Key(Table.CONNECTIONS, f"SUB#{log}", connection_id)


def watched_key(log: str) -> Key:
    """Is there when somebody follows the log, or did a while ago: one read answers for a hundred logs."""
    return Key(Table.CONNECTIONS, f"WATCHED#{log}", "WATCHED")


def feed_key(tenant_id: str) -> Key:
    return Key(Table.CONNECTIONS, feed_log(tenant_id), "OPEN")


def agent_connection_key(pool: str, agent_id: str, connection_id: str) -> Key:
    """A connection of an agent that is dispatched to over it."""
    return Key(Table.CONNECTIONS, f"AGENT#{pool}#{agent_id}", connection_id)


def connect(store: ItemStore, connected: Connected) -> None:
    """Record an open connection; of an agent also where the dispatches to it go."""
    principal, connection_id = connected.principal, connected.connection.connection_id
    attributes: dict[str, Scalar] = {
        "v": VERSION,
        "connected": to_json(connected),
        "expires_at_s": connected.opened_at_ms // 1_000 + CONNECTION_SECONDS,
    }
    store.write(Put(connection_key(connection_id), attributes))
    if principal.agent_id is not None and principal.pool is not None:
        store.write(Put(agent_connection_key(principal.pool, principal.agent_id, connection_id), attributes))


def load_connection(store: ItemStore, connection_id: str) -> Connected | None:
    key = connection_key(connection_id)
    found = store.get([key]).get(key)
    return None if found is None else _connected(found)


def connections_of_agent(store: ItemStore, pool: str, agent_id: str) -> list[Connected]:
    """The open connections of an agent, at most 100."""
    found = store.query(Table.CONNECTIONS, agent_connection_key(pool, agent_id, "-").pk, limit=_KEYS_MAX)
    return [_connected(item) for item in found]


def disconnect(store: ItemStore, connection_id: str) -> None:
    """Forget a connection and everything that it follows. Done twice, or in part, it does no harm."""
    found = store.query(Table.CONNECTIONS, connection_key(connection_id).pk, limit=SUBSCRIPTIONS_MAX * 2)
    for item in found:
        if item.key.sk == CONNECTION:
            principal = _connected(item).principal
            if principal.agent_id is not None and principal.pool is not None:
                store.write(Delete(agent_connection_key(principal.pool, principal.agent_id, connection_id)))
        else:
            store.write(Delete(subscription_key(item.key.sk.removeprefix(_FOLLOWS), connection_id)))
        store.write(Delete(item.key))


def follows(store: ItemStore, connection_id: str) -> list[str]:
    """The logs that a connection follows."""
    pk = connection_key(connection_id).pk
    found = store.query(Table.CONNECTIONS, pk, limit=SUBSCRIPTIONS_MAX * 2, start=_FOLLOWS)
    return [item.key.sk.removeprefix(_FOLLOWS) for item in found]


def subscribe_writes(subscription: Subscription, now_ms: int) -> list[Write]:
    """The transaction that begins a subscription, unless its connection is gone."""
    connection_id, log = subscription.connection.connection_id, subscription.log
    expires_at_s = now_ms // 1_000 + CONNECTION_SECONDS
    attributes: dict[str, Scalar] = {
        "v": VERSION,
        "subscription_id": subscription.subscription_id,
        "connection": to_json(subscription.connection),
        "cursor": subscription.cursor,
        "expires_at_s": expires_at_s,
    }
    common: dict[str, Scalar] = {"v": VERSION, "expires_at_s": expires_at_s}
    return [
        Update(connection_key(connection_id), set={"seen_at_ms": now_ms}, conditions=(Present(),)),
        Put(subscription_key(log, connection_id), attributes),
        Put(_follows_key(connection_id, log), common),
        Put(watched_key(log), common),
    ]


def unsubscribe(store: ItemStore, log: str, connection_id: str) -> None:
    """End a subscription; that of somebody who has none is ended already."""
    store.write(Delete(subscription_key(log, connection_id)))
    store.write(Delete(_follows_key(connection_id, log)))


def load_subscription(store: ItemStore, log: str, connection_id: str) -> Subscription | None:
    key = subscription_key(log, connection_id)
    found = store.get([key]).get(key)
    return None if found is None else _subscription(found)


class EachOf(Protocol):
    """Does the same for each of some names, and gives the answers in their order: one by one, or side by side."""

    def __call__(self, work: Callable[[str], list[Item]], names: Sequence[str], /) -> Iterable[list[Item]]: ...


def subscriptions_of(store: ItemStore, logs: Iterable[str], each_of: EachOf = map) -> list[Subscription]:
    """Who follows any of these logs."""
    keys = [watched_key(log) for log in logs]
    watched: list[str] = []
    for start in range(0, len(keys), _KEYS_MAX):
        watched += [key.pk.partition("#")[2] for key in store.get(keys[start : start + _KEYS_MAX])]
    found = each_of(lambda log: store.query(Table.CONNECTIONS, f"SUB#{log}", limit=FOLLOWERS_MAX), watched)
    return [_subscription(item) for items in found for item in items]


def move_cursors(store: ItemStore, moved: Sequence[tuple[Subscription, int]]) -> None:
    """Note what was posted to each. A cursor that is further by now, or of another subscription, or gone stays as it
    is; one that was ahead of its log is set back.
    """
    updates = [_move(subscription, cursor) for subscription, cursor in moved]
    for start in range(0, len(updates), _KEYS_MAX):
        some = updates[start : start + _KEYS_MAX]
        if len(some) == 1 or not _together(store, some):
            for update in some:
                _alone(store, update)


def _move(subscription: Subscription, cursor: int) -> Update:
    back = cursor < subscription.cursor
    place = Equals("cursor", subscription.cursor) if back else AtMost("cursor", cursor)
    mine = (Equals("subscription_id", subscription.subscription_id), place)
    key = subscription_key(subscription.log, subscription.connection.connection_id)
    return Update(key, set={"cursor": cursor}, conditions=mine)


def _together(store: ItemStore, updates: Sequence[Update]) -> bool:
    """In one call; False when one of them was in the way of all."""
    try:
        store.transact(updates, digest("cursors", to_json(updates)))
    except TransactionCancelled:
        return False
    return True


def _alone(store: ItemStore, update: Update) -> None:
    try:
        store.write(update)
    except ConditionFailed:
        return


def open_feed(store: ItemStore, tenant_id: str, now_ms: int) -> None:
    """From a second from now on the tenant's feed is written, for a week from the last time that this was asked."""
    store.write(Put(feed_key(tenant_id), {"v": VERSION, "expires_at_s": now_ms // 1_000 + FEED_OPEN_SECONDS}))


def is_feed_open(store: ItemStore, tenant_id: str, now_ms: int) -> bool:
    """Whether the feed stays open for most of a week, without being asked for again."""
    found = store.get([feed_key(tenant_id)]).get(feed_key(tenant_id))
    return found is not None and number(found.attributes, "expires_at_s") > now_ms // 1_000 + _FEED_RENEWED_SECONDS


def open_feeds(store: ItemStore, tenant_ids: Sequence[str], now_ms: int) -> frozenset[str]:
    """Those of at most 100 tenants whose feeds are open."""
    found = store.get([feed_key(tenant_id) for tenant_id in tenant_ids])
    now_s = now_ms // 1_000
    open_now = [key for key, item in found.items() if number(item.attributes, "expires_at_s") > now_s]
    return frozenset(key.pk.partition("#")[2] for key in open_now)


def _follows_key(connection_id: str, log: str) -> Key:
    return Key(Table.CONNECTIONS, connection_key(connection_id).pk, _FOLLOWS + log)


def _connected(item: Item) -> Connected:
    return msgspec.json.decode(text(item.attributes, "connected"), type=Connected)


def _subscription(item: Item) -> Subscription:
    a = item.attributes
    return Subscription(
        log=item.key.pk.partition("#")[2],
        connection=msgspec.json.decode(text(a, "connection"), type=Connection),
        subscription_id=text(a, "subscription_id"),
        cursor=number(a, "cursor"),
    )
