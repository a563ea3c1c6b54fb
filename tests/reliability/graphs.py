"""Workflows by chance: a few nodes, edges to earlier ones, every way of dealing with a failure."""

from typing import Any

from tests.reliability.chance import Chance
from tests.reliability.tasks import CAPABILITIES, POOLS, TENANTS, claimed


def a_workflow(chance: Chance, now_ms: int) -> dict[str, Any]:
    """The data of a `SubmitWorkflow`."""
    data: dict[str, Any] = {
        "tenant_id": chance.pick(TENANTS),
        "pool": chance.pick(POOLS),
        "tasks": _nodes(chance, chance.pick((2, 4, 4, 7))),
    }
    if chance.hit(0.15):
        data |= {"deadline_ms": now_ms + chance.pick((5, 60)) * 1_000, "deadline_kind": chance.pick(("soft", "hard"))}
    return data


def behind_claim(data: dict[str, Any]) -> tuple[str, bytes, dict[str, Any]]:
    """The same workflow with its nodes in the object store: key, object, and what travels."""
    key, body, value = claimed(data["tenant_id"], {"tasks": data["tasks"]})
    return key, body, data | {"tasks": value}


def _nodes(chance: Chance, count: int) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    for number in range(count):
        before = [one["name"] for one in nodes]
        parents = [name for name in before if chance.hit(0.5)]
        nodes.append(
            {
                "name": f"node-{number}",
                "task_type": chance.pick(("plain", "plain", "calls")),
                "capabilities": list(chance.pick(CAPABILITIES)),
                "payload": {"node": number},
                "estimate": {"runtime_seconds": chance.pick((0.5, 2.0))},
                "retry": {"max_attempts": chance.pick((1, 3)), "backoff_seconds": 0.5, "backoff_max_seconds": 4.0},
                "depends_on": [_edge(chance, name) for name in parents],
            }
        )
    return nodes


def _edge(chance: Chance, name: str) -> dict[str, str]:
    return {"node": name, "on_failure": chance.pick(("fail", "skip", "continue"))}
