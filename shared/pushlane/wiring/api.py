"""The HTTP API, wired for Lambda; and the ports that the WebSocket API shares with it."""

import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import msgspec

from pushlane.api.app import Api
from pushlane.api.caller import Callers
from pushlane.api.ports import ApiPorts
from pushlane.aws.links import link_to
from pushlane.aws.listing import DynamoTaskListing
from pushlane.aws.schedules import EventBridgeSchedules, SchedulerPlace
from pushlane.ports import ScheduleEntry, Schedules, Table
from pushlane.settings.edge import ApiSettings, SocketsSettings
from pushlane.settings.environment import load
from pushlane.state.items import to_json
from pushlane.wiring import clients
from pushlane.wiring.authorizer import credentials
from pushlane.wiring.callbacks import target_rules
from pushlane.wiring.logs import structured_log
from pushlane.wiring.process import environ
from pushlane.wiring.router import router_ports
from pushlane.wiring.turns import NO_TABLES, turn_ports


@cache
def build_api() -> Api:
    """The HTTP application of this process, from its environment."""
    settings = load(ApiSettings, environ())
    place = SchedulerPlace(
        group=settings.schedule_group,
        queue_arn=settings.wakeups_queue_arn,
        dead_letters_arn=settings.schedule_dead_letters_arn,
        role_arn=settings.schedule_role_arn,
    )
    schedules = LaterSchedules(lambda: EventBridgeSchedules(clients.scheduler(), place))
    ports = api_ports(settings, structured_log("api"), {Table.MEASURES: settings.measures_table})
    return Api(msgspec.structs.replace(ports, schedules=schedules, schedules_place=to_json(place)))


class LaterSchedules:
    """Schedules whose client is made at their first use: few requests are about one, and every cold start would pay."""

    def __init__(self, make: Callable[[], Schedules]) -> None:
        self._make = cache(make)

    def put(self, entry: ScheduleEntry) -> None:
        """See `Schedules.put`."""
        self._make().put(entry)

    def delete(self, name: str) -> None:
        """See `Schedules.delete`."""
        self._make().delete(name)

    def get(self, name: str) -> ScheduleEntry | None:
        """See `Schedules.get`."""
        return self._make().get(name)


def api_ports(
    settings: SocketsSettings, log: Callable[..., None], measures: Mapping[Table, str] = NO_TABLES
) -> ApiPorts:
    """What the operations need, but for schedules. `measures`: the table of them, where they are read."""
    more = {Table.EVENTS: settings.events_table, Table.CONNECTIONS: settings.connections_table, **measures}
    turn = turn_ports(settings, more)
    known = credentials(turn.store, turn.clock, settings.signing_secret_arn, settings.stage)
    return ApiPorts(
        router=router_ports(settings, turn, log),
        identify=Callers(known).identify,
        new_id=lambda: uuid.uuid4().hex,
        sleep=time.sleep,
        listing=DynamoTaskListing(clients.dynamodb(), settings.tasks_table, backoff=clients.ADAPTER_BACKOFF),
        link=lambda key, seconds: link_to(clients.s3(), settings.claims_bucket, key, seconds),
        events_queue_url=settings.events_queue_url,
        targets=target_rules(settings.stage),
        beside=beside(),
    )


def beside() -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Work on a thread of its own, which is made when there is some."""
    threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside")
    return lambda work: threads.submit(work).result
