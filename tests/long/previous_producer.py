"""What a producer and a deployer of the previous release do. Run with that release's code, so it uses only what both
releases have.

    python previous_producer.py deploy WORK_DIR       deploys the release in the current folder; prints the outputs
    python previous_producer.py prepare OUTPUTS       submits tasks and waits until they stand as they should
    python previous_producer.py keep-on OUTPUTS       submits four tasks a second until its input ends; prints each id
"""

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.client import AwsClients, Client, Installation, Workflow
from pushlane.client.dead_messages import DeadMessages
from pushlane.client.tenants import add_tenant
from pushlane.local.deploy import CdkApp, deploy
from pushlane.local.endpoint import LocalAws
from pushlane.local.sessions import session_for
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import Status
from pushlane.state.policies import PolicyChange, set_policy

CONTEXT: Final = {"vendor": False, "event_log": True}
SLOTS: Final = 4
# So many half seconds an attempt runs that the upgrade meets.
STEPS: Final = 40
WAIT_SECONDS: Final = 60.0
VISIBILITY_SECONDS: Final = 20
LATE_TENANT: Final = "late"
TIERS: Final = ("critical", "high", "normal", "low", "background")
# A worker that ends with its code is noticed soon. What birch has in flight is the dispatch that nobody takes until the
# upgrade is over, so everything else of birch waits until then.
POLICY: Final = {
    "task_types": {"chaos": {"lease_seconds": 8}},
    "tenants": {"atlas": {"weight": 3}, "birch": {"in_flight_max": 1}},
}
# More than a message carries: it lies among the claims.
LARGE: Final = "x" * 100_000


@dataclass(frozen=True)
class Here:
    """The installation that the outputs name."""

    installation: Installation
    aws: AwsClients
    store: DynamoItemStore
    client: Client
    functions: Any

    @classmethod
    def at(cls, outputs: Path) -> "Here":
        installation = Installation.from_outputs_file("local", outputs)
        session = session_for(os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"])
        aws = AwsClients.of(session)
        store = DynamoItemStore(aws.dynamodb, installation.tables)
        return cls(installation, aws, store, Client(installation, aws, store=store), session.client("lambda"))


def deployed(work_dir: Path) -> dict[str, Any]:
    aws = LocalAws(
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
        pid=0,
        log_path=work_dir / "ministack.log",
    )
    deployment = deploy(CdkApp(Path.cwd(), CONTEXT), aws, work_dir, progress=lambda _said: None)
    return {stack: dict(values) for stack, values in deployment.outputs.items()}


def prepared(here: Here) -> dict[str, Any]:
    """Tasks in every state that there is, by what they are; and what their new readers need to know of them."""
    _configure(here)
    ended = _ended(here)
    resting = _resting(here)
    quarantined = _quarantined(here)
    pushed, dispatch = _pushed(here)
    parked = _submit(here, [{**_order(do="echo", value=tier), "tenant_id": "birch", "tier": tier} for tier in TIERS])
    flow = here.client.submit_workflow(
        Workflow("upgraded", "birch")
        .task("top", task_type="chaos", payload={"do": "echo", "value": 1})
        .task("bottom", task_type="chaos", payload={"do": "echo"}, after=["top"])
    )
    _until(here, [flow.task_ids["bottom"]], Status.BLOCKED)
    _until(here, [*parked, flow.task_ids["top"]], Status.PARKED)
    # Last, since their time runs: from here on every slot is taken, and what comes waits for one.
    running = _submit(here, [_order(do="steps", steps=STEPS, seconds=0.5) for _ in range(SLOTS)])
    _until(here, running, Status.DISPATCHED)
    _eventually("all of them have started", lambda: len(_started(here, running)) == SLOTS)
    behind = _submit(here, [_order(do="echo", value=number) for number in range(3 * SLOTS)])
    live = {
        **resting,
        "pushed": [pushed],
        "running": running,
        "behind": behind,
        "parked": parked,
        "workflow": list(flow.task_ids.values()),
    }
    return {
        "ended": ended,
        "live": live,
        "quarantined": quarantined,
        "workflow_id": flow.workflow_id,
        "dispatch": dispatch,
    }


def kept_on(here: Here) -> list[str]:
    """The ids of what was submitted until the input ended, through every door in turn."""
    ids: list[str] = []
    doors = ("sqs", "eventbridge", "sns", "kinesis")
    while not select.select([sys.stdin], [], [], 0.25)[0]:
        order = _order(do="echo", value=len(ids))
        ids.append(here.client.submit(order, door=doors[len(ids) % len(doors)]).task_id)
        print(ids[-1], flush=True)
    return ids


def _configure(here: Here) -> None:
    for tenant_id in ("atlas", "birch"):
        add_tenant(here.store, tenant_id, _now_ms())
    change = PolicyChange(document=json.dumps(POLICY).encode(), change_id="before", changed_by="a test")
    set_policy(here.store, change, _now_ms())
    _bring_back_soon(here)
    time.sleep(1.5)  # routers look at both once a second


def _bring_back_soon(here: Here) -> None:
    """AWS lets a running invocation end with its old code; the local AWS ends its worker. What that had in hand comes
    again when its visibility is over, which is minutes: six times what the function may take.
    """
    for page in here.aws.sqs.get_paginator("list_queues").paginate():
        for url in page.get("QueueUrls", []):
            found = here.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
            if "RedrivePolicy" in found.get("Attributes", {}):
                seconds = str(VISIBILITY_SECONDS)
                here.aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": seconds})


def _ended(here: Here) -> dict[str, Any]:
    """One task for each way to end, with what is stored of it."""
    kept = {**_order(do="echo", value="kept"), "idempotency_key": "kept"}
    kinds = {
        "kept": kept,
        "large": _order(do="echo", value=LARGE),
        "failed": _order(do="permanent"),
        "cancelled": _order(do="doze", seconds=600),
        "dead": {**_order(do="raise", times=1), "retry": {"max_attempts": 1}},
    }
    ids = dict(zip(kinds, _submit(here, kinds.values()), strict=True))
    _until(here, [ids["cancelled"]], Status.SUSPENDED)
    here.client.cancel("atlas", ids["cancelled"], reason="not needed")
    found = here.client.wait(ids.values(), timeout_seconds=WAIT_SECONDS)
    return {
        kind: {"task_id": task_id, "status": found[task_id].status.value, "epoch": found[task_id].epoch}
        for kind, task_id in ids.items()
    }


def _resting(here: Here) -> dict[str, list[str]]:
    asleep = _submit(here, [_order(do="doze", seconds=25)])
    asks = _submit(here, [_order(do="ask")])
    retry = {"max_attempts": 3, "backoff_seconds": 25, "backoff_max_seconds": 25}
    retrying = _submit(here, [{**_order(do="raise", times=1), "retry": retry}])
    _until(here, [*asleep, *asks], Status.SUSPENDED)
    _until(here, retrying, Status.RETRYING)
    return {"asleep": asleep, "asks": asks, "retrying": retrying}


def _quarantined(here: Here) -> str:
    """A submission of a tenant that is not registered: its id once it goes in again."""
    order = {**_order(do="echo", value="late"), "tenant_id": LATE_TENANT, "idempotency_key": "late"}
    here.client.submit(order)
    messages = DeadMessages(here.installation, here.aws)
    _eventually("it is in quarantine", lambda: bool(list(messages.peek("quarantine", 10))))
    return keyed_task_id(LATE_TENANT, "late")


def _pushed(here: Here) -> tuple[str, dict[str, Any]]:
    """A task whose dispatch lies in its agent's queue, since nothing takes from it any more; and that dispatch."""
    url = here.aws.sqs.get_queue_url(QueueName="pushlane-local-agent-extract")["QueueUrl"]
    for mapping in _mappings(here, url):
        here.functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    text = {"name": "note.md", "media_type": "text/markdown", "text": "# Hello\n\nAn old dispatch, a new agent."}
    order = {"tenant_id": "birch", "task_type": "extract", "payload": {"document": text}}
    [task_id] = _submit(here, [order])
    found: list[dict[str, Any]] = []

    def lies_there() -> bool:
        page = here.aws.sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=1)
        found.extend(json.loads(message["Body"]) for message in page.get("Messages", []))
        return bool(found)

    _eventually("its dispatch lies in the agent's queue", lies_there)
    return task_id, found[0]


def _mappings(here: Here, queue_url: str) -> list[str]:
    arn = here.aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    page = here.functions.list_event_source_mappings(EventSourceArn=arn)
    return [one["UUID"] for one in page["EventSourceMappings"]]


def _order(**payload: Any) -> dict[str, Any]:
    return {"tenant_id": "atlas", "task_type": "chaos", "payload": payload, "estimate": {"runtime_seconds": 5}}


def _submit(here: Here, orders: Iterable[dict[str, Any]]) -> list[str]:
    batch = here.client.submit_many(list(orders))
    assert not batch.refused, batch.refused
    return [one.task_id for one in batch.accepted]


def _until(here: Here, task_ids: list[str], status: Status) -> None:
    _eventually(f"{len(task_ids)} tasks are {status}", partial(_all, here, task_ids, status))


def _all(here: Here, task_ids: list[str], status: Status) -> bool:
    found = here.client.tasks(task_ids)
    return len(found) == len(task_ids) and all(one.status is status for one in found.values())


def _started(here: Here, task_ids: list[str]) -> list[str]:
    """Those whose attempt has a runner."""
    pages = here.aws.dynamodb.get_paginator("scan").paginate(TableName=here.installation.attempts_table)
    started = [item["sk"]["S"] for page in pages for item in page["Items"] if "runner" in item]
    return [task_id for task_id in task_ids if task_id in started]


def _eventually(what: str, look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {WAIT_SECONDS:.0f} s: {what}")
        time.sleep(0.2)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    command, place = sys.argv[1], Path(sys.argv[2])
    answers: dict[str, Callable[[], Any]] = {
        "deploy": lambda: deployed(place),
        "prepare": lambda: prepared(Here.at(place)),
        "keep-on": lambda: kept_on(Here.at(place)),
    }
    print(json.dumps(answers[command]()))
