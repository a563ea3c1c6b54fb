"""An agent on a WebSocket is offered work while a connection of it is open, and through that one."""

from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.live import Connection
from pushlane.model.principal import Principal, Role
from pushlane.router.agent_connections import came, went
from pushlane.state import keys
from pushlane.state.connections import Connected, connect, disconnect
from pushlane.state.items import agent_of
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import OUTBOUND

ONE = Principal(principal_id="one", role=Role.AGENT, pool="default", agent_id="one")
UNBOUND = Principal(principal_id="pool", role=Role.AGENT, pool="default")


class World:
    def __init__(self, kind: EndpointKind = EndpointKind.WEBSOCKET) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.dispatcher.register(None, agent_id="one", slots=2, capabilities=("work",), endpoint=Endpoint(kind=kind))

    def open(self, connection_id: str, principal: Principal = ONE) -> bool:
        place = Connection(connection_id=connection_id, api_id="a", domain="ws.example", stage="live")
        now_ms = self.dispatcher.clock.now_ms()
        connect(self.dispatcher.store, Connected(connection=place, principal=principal, opened_at_ms=now_ms))
        changed = came(self.dispatcher.turn, principal, connection_id)
        self.dispatcher.run_until_idle()
        return changed

    def close(self, connection_id: str) -> None:
        disconnect(self.dispatcher.store, connection_id)
        went(self.dispatcher.turn, ONE, connection_id)

    def target(self) -> str:
        key = keys.agent_key("default", "one")
        return agent_of(self.dispatcher.store.get([key])[key]).endpoint.target

    def submit(self) -> str:
        task_id = self.dispatcher.submit(task_type="work")
        self.dispatcher.run_until_idle()
        return task_id


def test_what_waits_goes_out_as_soon_as_the_agent_connects() -> None:
    world = World()
    task_id = world.submit()
    assert world.dispatcher.status(task_id) == "PARKED"
    assert world.open("c-1")
    assert world.dispatcher.status(task_id) == "DISPATCHED"
    [sent] = world.dispatcher.sender.drain(OUTBOUND)
    assert '"target":"c-1"' in sent.body


def test_without_a_connection_it_is_offered_nothing() -> None:
    world = World()
    world.open("c-1")
    world.close("c-1")
    assert world.target() == ""
    assert world.dispatcher.status(world.submit()) == "PARKED"


def test_another_open_connection_takes_the_place_of_one_that_is_gone() -> None:
    world = World()
    world.open("c-1")
    world.open("c-2")
    assert world.target() == "c-2"
    world.close("c-1")
    assert world.target() == "c-2"
    world.open("c-3")
    world.close("c-3")
    assert world.target() == "c-2"


def test_other_peoples_connections_and_other_agents_are_left_alone() -> None:
    world = World()
    assert not world.open("c-9", UNBOUND)
    assert world.target() == ""
    pulling = World(EndpointKind.PULL)
    assert not pulling.open("c-1")
    assert pulling.target() == ""
