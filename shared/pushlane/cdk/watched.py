"""What of a dispatcher is watched: its functions, tables and queues, found and not listed, so that what is added later
is watched as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from pushlane.cdk.channels import Channels
from pushlane.cdk.edge import Edge
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue, WorkQueue
from pushlane.cdk.routing import Routing
from pushlane.cdk.state import State

T = TypeVar("T", bound=Construct)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The watched parts by the names of their constructs. `dead_letters`: only those of the channels; each has its own
    alarm where it is. `agent_queue_prefix` begins the names of the agents' queues, which later stacks add.
    """

    stage: str
    functions: Mapping[str, PythonFunction]
    tables: Mapping[str, dynamodb.Table]
    queues: Mapping[str, WorkQueue]
    dead_letters: Mapping[str, DeadLetterQueue]
    agent_queue_prefix: str


def watched(stage: str, state: State, channels: Channels, routing: Routing, edge: Edge | None) -> Watched:
    """Everything that there is of these parts now."""
    deciding = [routing] if edge is None else [routing, edge]
    return Watched(
        stage=stage,
        functions=_found(deciding, PythonFunction),
        tables=_found([state], dynamodb.Table),
        queues=_found([channels], WorkQueue),
        dead_letters=_found([channels], DeadLetterQueue),
        agent_queue_prefix=routing.agent_queue_prefix,
    )


def _found(scopes: Iterable[Construct], kind: type[T]) -> dict[str, T]:
    return {one.node.id: one for scope in scopes for one in scope.node.find_all() if isinstance(one, kind)}
