"""An agent's process for tests: runs one dispatch message from its standard input, wired as in Lambda."""

import ctypes
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.agent.runtime import AgentRuntime
from pushlane.settings.environment import load
from pushlane.settings.functions import AgentSettings
from pushlane.wiring.agents import agent_ports
from pushlane.wiring.process import environ


@agent(task_types=("busy", "silent"))
def busy(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """One call into C that never lets go of the interpreter."""
    sys.stdout.write("busy\n")
    sys.stdout.flush()
    ctypes.PyDLL(None).sleep(int(payload["seconds"]))
    return {"attempt": ctx.attempt}


def main() -> None:
    body = sys.stdin.buffer.readline()
    ports = msgspec.structs.replace(agent_ports(load(AgentSettings, environ())), log=_log)
    taken = AgentRuntime(busy, ports).run(body, int(sys.argv[1]) * 1_000)
    sys.stdout.write(f"taken {taken} heartbeat {_heart_pid(ports.heartbeat)}\n")


def _heart_pid(heartbeat: Any) -> Any:
    return heartbeat.pid


def _log(event: str, **_fields: Any) -> None:
    sys.stderr.write(f"{event}\n")


if __name__ == "__main__":
    main()
