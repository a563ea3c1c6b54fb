"""Those who watch: they open connections, follow logs, lose their connections and come back. Whatever dies on the way,
nobody misses an event without being told so, and in the end everybody has the whole log.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from pushlane.model.agent import AgentStatus
from pushlane.model.endpoint import EndpointKind
from pushlane.model.live import Connection, OpenFeed, Subscribe, feed_log
from pushlane.model.principal import Principal, Role
from pushlane.ports import Scalar, Update
from pushlane.router import agent_connections
from pushlane.router.following import Following
from pushlane.router.repeating import told
from pushlane.state import connections, keys
from pushlane.state.connections import Connected
from pushlane.state.copied_log import has_all
from pushlane.state.event_log import read_events
from tests.reliability.broken import Broken
from tests.reliability.deliveries import Deliveries
from tests.reliability.handlers import EVENTS, keyring
from tests.reliability.invocations import Invocation
from tests.reliability.tasks import TENANTS
from tests.reliability.world import World

_WATCHERS: Final = 3
_EVERY_MS: Final = (100, 500, 2_000)
_AHEAD: Final = 10**6
# One of them is an agent that is dispatched to over its connection; it takes nothing at the moment.
_POOL: Final = "default"
_AGENT: Final = "watcher"
_ITS_ITEM: Final[Mapping[str, Scalar]] = {
    "v": 1,
    "agent_id": _AGENT,
    "pool": _POOL,
    "capabilities": ["watching"],
    "slots": 1,
    "status": AgentStatus.DRAINING.value,
    "endpoint_kind": EndpointKind.WEBSOCKET.value,
    "endpoint_target": "",
}
TENANT: Final = TENANTS[0]


class Watcher:
    """One client. `seen`: the sequences that it has of each log. `whole`: of which it has to have all, because it never
    claimed to have what it has not.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.connection_id = ""
        self.seen: dict[str, list[int]] = {}
        self.whole: set[str] = set()
        self.claimed: set[str] = set()

    def last(self, log: str) -> int:
        events = self.seen.get(log)
        return events[-1] if events else 0


class Watchers:
    """Of one world. They are there only where event logs are kept."""

    def __init__(self, world: World, deliveries: Deliveries) -> None:
        self._world = world
        self._deliveries = deliveries
        self._watchers = [Watcher(number) for number in range(_WATCHERS)]
        self._next_ms: int | None = world.clock.now_ms() if world.keeps_event_logs else None
        if world.keeps_event_logs:
            world.put(Update(keys.agent_key(_POOL, _AGENT), set=_ITS_ITEM, add={"used": 0, "revision": 0}))

    def next_ms(self) -> int | None:
        return self._next_ms

    def due(self, now_ms: int) -> list[Callable[[], None]]:
        return [self._act] if self._next_ms is not None and self._next_ms <= now_ms else []

    def rest(self) -> None:
        """The faults are over: nobody does anything new."""
        self._next_ms = None

    def finish(self) -> None:
        """Everybody comes back once more and gets what is missing; nothing goes wrong any more."""
        world = self._world
        for watcher in self._watchers if world.keeps_event_logs else ():
            self._read(watcher)
            self._open(watcher)
            connections.connect(world.store, self._connected(watcher))
            for log in sorted(watcher.whole):
                self._invoke("sockets", partial(self._begin, self._wish(watcher, log, watcher.last(log))))
            self._read(watcher)
            for log in sorted(watcher.whole):
                there = [event.sequence for event in read_events(world.store, log, limit=1_000).events]
                got = [sequence for sequence in watcher.seen.get(log, []) if sequence in set(there)]
                if there and (got != there or there[-1] != watcher.last(log)):
                    world.audit.broken(Broken.LOST, f"a watcher has {len(got)} of {len(there)} events of {log}")

    def _begin(self, wish: Subscribe) -> None:
        outside = self._world.outside
        following = Following(outside.store, self._world.poster, outside.log)
        told(outside.sender, EVENTS, following.begin(wish, outside.clock.now_ms()), keyring)

    def _act(self) -> None:
        chance = self._world.chance
        self._next_ms = self._world.clock.now_ms() + chance.pick(_EVERY_MS)
        watcher = chance.pick(self._watchers)
        if not self._world.poster.is_open(watcher.connection_id):
            self._connect(watcher)
            return
        acts = (
            self._read,
            self._subscribe,
            self._subscribe,
            self._unsubscribe,
            self._leave,
            self._claim,
            self._open_feed,
        )
        chance.pick(acts)(watcher)

    def _open(self, watcher: Watcher) -> None:
        watcher.connection_id = self._world.new_id("connection")
        self._world.poster.open(watcher.connection_id)

    def _connected(self, watcher: Watcher) -> Connected:
        """The last of them is an agent, which is another's connection as far as anybody else knows."""
        agent = {"role": Role.AGENT, "pool": _POOL, "agent_id": _AGENT}
        bounds: dict[str, Any] = agent if watcher.number == _WATCHERS - 1 else {"role": Role.PRODUCER}
        principal = Principal(principal_id="watcher", tenant_id=TENANT, **bounds)
        return Connected(connection=a_connection(watcher), principal=principal, opened_at_ms=self._world.clock.now_ms())

    def _connect(self, watcher: Watcher) -> None:
        self._open(watcher)
        connected, outside = self._connected(watcher), self._world.outside

        def work() -> None:
            connections.connect(outside.store, connected)
            agent_connections.came(self._world.sweeper, connected.principal, watcher.connection_id)

        self._invoke("connect", work)

    def _leave(self, watcher: Watcher) -> None:
        """The connection is closed; API Gateway mostly says so."""
        self._read(watcher)
        self._world.poster.close(a_connection(watcher))
        store, connection_id = self._world.outside.store, watcher.connection_id

        def work() -> None:
            found = connections.load_connection(store, connection_id)
            connections.disconnect(store, connection_id)
            if found is not None:
                agent_connections.went(self._world.sweeper, found.principal, connection_id)

        if self._world.chance.hit(0.7):
            self._invoke("disconnect", work)

    def _subscribe(self, watcher: Watcher) -> None:
        if (log := self._some_log()) is not None:
            watcher.whole |= {log} - watcher.claimed
            self._ask(self._wish(watcher, log, watcher.last(log)))

    def _claim(self, watcher: Watcher) -> None:
        """Somebody claims to have seen more than there is: he is told, and has no whole log any more."""
        if (log := self._some_log()) is not None:
            watcher.claimed.add(log)
            watcher.whole.discard(log)
            self._ask(self._wish(watcher, log, _AHEAD))

    def _unsubscribe(self, watcher: Watcher) -> None:
        if (log := self._some_log()) is not None:
            store, connection_id = self._world.outside.store, watcher.connection_id
            self._invoke("sockets", lambda: connections.unsubscribe(store, log, connection_id))

    def _open_feed(self, watcher: Watcher) -> None:
        store, now_ms = self._world.outside.store, self._world.clock.now_ms()
        wish = OpenFeed(log=feed_log(TENANT), tenant_id=TENANT, request_id=self._world.new_id("request"))

        def work() -> None:
            if not connections.is_feed_open(store, TENANT, now_ms):
                told(self._world.outside.sender, EVENTS, [wish], keyring)

        self._invoke("feed", work)

    def _ask(self, wish: Subscribe) -> None:
        """As the sockets application does it."""
        store, connection_id = self._world.outside.store, wish.connection.connection_id

        def work() -> None:
            connections.load_connection(store, connection_id)
            connections.follows(store, connection_id)
            has_all(store, wish.log)  # as those who read the log do
            self._begin(wish)

        self._invoke("sockets", work)

    def _wish(self, watcher: Watcher, log: str, after: int) -> Subscribe:
        return Subscribe(
            log=log,
            tenant_id=TENANT,
            connection=a_connection(watcher),
            subscription_id=self._world.new_id("subscription"),
            after=after,
        )

    def _some_log(self) -> str | None:
        mirror, chance = self._world.audit.mirror, self._world.chance
        own = [name for name, one in sorted(mirror.tasks.items()) if (one.task or {}).get("tenant_id") == TENANT]
        return chance.pick([*own[-4:], feed_log(TENANT)]) if own else None

    def _invoke(self, name: str, work: Callable[[], None]) -> None:
        self._deliveries.invoke(Invocation(f"watcher/{name}", work, lambda _died: None), apart=False)

    def _read(self, watcher: Watcher) -> None:
        """Apply what has come as the documentation says: what is not newer is dropped, and nothing may be missing."""
        for body in self._world.poster.take(watcher.connection_id):
            said = msgspec.json.decode(body)
            if said["type"] == "expired":
                if said["stream"] not in watcher.claimed:
                    self._world.audit.broken(Broken.LOST, f"a watcher of {said['stream']} was told that it had expired")
                watcher.seen[said["stream"]] = [said["last"]]
            for event in said.get("events", ()):
                self._receive(watcher, said["stream"], event["sequence"])

    def _receive(self, watcher: Watcher, log: str, sequence: int) -> None:
        last = watcher.last(log)
        if sequence > last + 1 and log in watcher.whole:
            self._world.audit.broken(Broken.LOST, f"a watcher of {log} got event {sequence} after {last}")
        if sequence > last:
            watcher.seen.setdefault(log, []).append(sequence)


def a_connection(watcher: Watcher) -> Connection:
    return Connection(connection_id=watcher.connection_id, api_id="api", domain="example.com", stage="live")
