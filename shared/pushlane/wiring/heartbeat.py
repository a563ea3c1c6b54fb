"""The heartbeat's program: `python -m pushlane.wiring.heartbeat PARENT_PID QUIET_MS [--die-with-parent]`.

It imports nothing of ours until the first beat is near, and boto3 only when it falls due: an agent whose tasks are
short never pays for it. What is said to it meanwhile waits in the pipe.
"""

import select
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pushlane.ports import ItemStore

COMMAND: Final = (sys.executable, "-m", "pushlane.wiring.heartbeat")
_STDIN: Final = 0


def _parent_ends_within(wait_ms: int) -> bool:
    watched = select.poll()
    watched.register(_STDIN, 0)  # no event of its own: only that the other end is closed
    return bool(watched.poll(wait_ms))


def _store(table: str) -> "ItemStore":
    from pushlane.aws.dynamodb import DynamoItemStore
    from pushlane.ports import Table
    from pushlane.wiring import clients

    return DynamoItemStore(clients.dynamodb(), {Table.ATTEMPTS: table}, backoff=clients.ADAPTER_BACKOFF)


def main(arguments: list[str]) -> None:
    """Keep leases until the parent is gone."""
    if _parent_ends_within(int(arguments[1])):
        return
    from pushlane.agent.heartbeat.child import HeartbeatProcess, die_with_parent

    if len(arguments) > 2:
        die_with_parent()
    HeartbeatProcess(int(arguments[0]), _store).run()


if __name__ == "__main__":
    main(sys.argv[1:])
