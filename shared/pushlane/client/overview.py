"""The installation as an operator sees it: agents, lanes, live reservations, queue depths."""

from collections import Counter
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from msgspec import Struct

from pushlane.client.installation import Installation
from pushlane.model.agent import Agent
from pushlane.model.endpoint import EndpointKind
from pushlane.ports import ItemStore, Table
from pushlane.state import keys
from pushlane.state.items import agent_of, number, shape_of_item, waited_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

# Above what one pool is meant for by orders of magnitude; a count that reaches it is said to be "at least" by readers.
ITEMS_MAX: Final = 100_000
_DEPTHS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class QueueDepth(Struct, frozen=True, kw_only=True):
    """SQS's own (approximate) counts: waiting, being processed, not yet due."""

    name: str
    waiting: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight + self.delayed


class LaneDepth(Struct, frozen=True, kw_only=True):
    """How many tasks of one tenant, tier and kind of work are parked."""

    pool: str
    tier: str
    tenant_id: str
    capabilities: tuple[str, ...]
    depth: int


class Seen(Struct, frozen=True, kw_only=True):
    """Everything at a glance. `tasks`: by status, if they were counted."""

    queues: tuple[QueueDepth, ...]
    quarantine: QueueDepth
    dead_letters: tuple[QueueDepth, ...]
    lanes: tuple[LaneDepth, ...]
    live_reservations: int
    tasks: dict[str, int] | None = None


class Overview:
    """Reads the scheduling state directly: the operator's way, with the operator's credentials."""

    def __init__(self, installation: Installation, store: ItemStore, sqs: "SQSClient") -> None:
        self._installation = installation
        self._store = store
        self._sqs = sqs

    def seen(self, tasks: dict[str, int] | None = None) -> Seen:
        """All of the below but the agents, read one after the other: no snapshot of one instant."""
        return Seen(
            queues=self.queues(),
            quarantine=self.quarantine(),
            dead_letters=self.dead_letters(),
            lanes=self.lanes(),
            live_reservations=self.live_reservations(),
            tasks=tasks,
        )

    def pools(self) -> tuple[str, ...]:
        """Every pool that has, or had, an agent."""
        return tuple(item.key.sk for item in self._store.query(Table.SCHEDULER, keys.POOLS, limit=ITEMS_MAX))

    def agents(self) -> tuple[Agent, ...]:
        """Every registered agent of every pool."""
        return tuple(
            agent_of(item)
            for pool in self.pools()
            for item in self._store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=ITEMS_MAX)
            if item.key.sk.startswith(keys.AGENT_PREFIX)
        )

    def lanes(self) -> tuple[LaneDepth, ...]:
        """Every lane in which tasks are parked now."""
        return tuple(lane for pool in self.pools() for lane in self._lanes(pool) if lane.depth)

    def live_reservations(self) -> int:
        """Attempts that hold a slot now: each is one item. One that gave it back while it waits holds none."""
        buckets = [keys.attempt_pk(pool, bucket) for pool in self.pools() for bucket in range(keys.ATTEMPT_BUCKETS)]
        found = (item for pk in buckets for item in self._store.query(Table.ATTEMPTS, pk, limit=ITEMS_MAX))
        return sum(not waited_of(item.attributes).holds_nothing for item in found)

    def queues(self) -> tuple[QueueDepth, ...]:
        """The queues that tasks pass through: intake, held, agents', results, wake-ups."""
        installation = self._installation
        named = [(f"intake {place}", url) for place, url in enumerate(installation.intake_queue_urls)]
        named += [("held", installation.held_queue_url)]
        queues = [agent for agent in self.agents() if agent.endpoint.kind is EndpointKind.SQS]
        named += [(f"agent {agent.pool}/{agent.agent_id}", agent.endpoint.target) for agent in queues]
        named += [("results", installation.results_queue_url), ("wake-ups", installation.wakeups_queue_url)]
        return tuple(queue_depth(self._sqs, url, name) for name, url in named)

    def quarantine(self) -> QueueDepth:
        """Refused events, kept for the operator."""
        return queue_depth(self._sqs, self._installation.quarantine_queue_url, "quarantine")

    def dead_letters(self) -> tuple[QueueDepth, ...]:
        """Every dead-letter queue but the quarantine."""
        quarantine = self._installation.quarantine_queue_url
        places = [place for place in self._installation.dead_letter_queues if place.url != quarantine]
        return tuple(queue_depth(self._sqs, place.url, place.name) for place in places)

    def _lanes(self, pool: str) -> list[LaneDepth]:
        items = self._store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=ITEMS_MAX)
        shapes = [shape_of_item(item) for item in items if item.key.sk.startswith(keys.SHAPE_PREFIX)]
        found: list[LaneDepth] = []
        for shape in shapes:
            for item in self._store.query(Table.SCHEDULER, keys.lanes_pk(pool, shape.shape), limit=ITEMS_MAX):
                tier, _, tenant_id = item.key.sk.partition("#")
                depth = number(item.attributes, "depth")
                lane = LaneDepth(
                    pool=pool, tier=tier, tenant_id=tenant_id, capabilities=shape.capabilities, depth=depth
                )
                found.append(lane)
        return found


def queue_depth(sqs: "SQSClient", url: str, name: str = "") -> QueueDepth:
    """The depth of one queue, called by its own name unless one is given; all zero when the queue is gone."""
    try:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_DEPTHS))["Attributes"]
    except ClientError as error:
        if "NonExistentQueue" not in error.response["Error"]["Code"]:
            raise
        found = {}
    waiting, in_flight, delayed = (int(found.get(attribute, 0)) for attribute in _DEPTHS)
    return QueueDepth(name=name or url.rsplit("/", 1)[-1], waiting=waiting, in_flight=in_flight, delayed=delayed)


def count_by_status(dynamodb: "DynamoDBClient", installation: Installation) -> dict[str, int]:
    """Tasks by status. Reads the whole tasks table, and on AWS that is billed."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=installation.tasks_table, ProjectionExpression="#s", ExpressionAttributeNames={"#s": "status"}
    )
    return dict(Counter(str(item["status"]["S"]) for page in pages for item in page["Items"] if "status" in item))
