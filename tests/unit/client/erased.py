"""A Pushlane in which two tenants have everything that a tenant can have, and one of them goes."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.client.erasure import Erased, Erasure, ErasurePorts
from pushlane.inmemory import InMemoryItemStore
from pushlane.model.access_key import AccessKey, KeyKind, secret_digest
from pushlane.model.callback import Callback
from pushlane.model.errors import StoreUnavailable
from pushlane.model.hook import Hook, HookData, HookScheme, HookSecret
from pushlane.model.iam_identity import IamPrincipal
from pushlane.model.issuer import Issuer
from pushlane.model.live import Connection, feed_log
from pushlane.model.principal import Principal, Role
from pushlane.model.schedule import ScheduleData, TaskTemplate, schedule_id_of
from pushlane.model.workflow import keyed_workflow_id
from pushlane.ports import Attributes, Item, Table, Write
from pushlane.state.access_keys import add_key
from pushlane.state.callbacks import set_default
from pushlane.state.connections import Connected, Subscription, connect, open_feed, subscribe_writes
from pushlane.state.hooks import add_hook
from pushlane.state.principals import put_issuer, put_principal
from pushlane.state.schedules import Schedule, put_operations
from pushlane.testing import InMemoryDispatcher
from tests.unit.model.workflows import node, workflow_envelope

GONE: Final = "gone-ltd"
KEPT: Final = "kept-ltd"
TENANTS: Final = (GONE, KEPT)
LARGE: Final = "x" * 70_000


@agent(task_types=("work",))
def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Does what the payload says: fails, sleeps, waits, or says a lot."""
    ctx.emit("progress", {"of": ctx.tenant_id, "page": 1})
    match payload.get("do"):
        case "fail":
            raise Permanent("as asked")
        case "fail-later":
            raise RuntimeError("try again")
        case "sleep":
            ctx.sleep(10_000)
        case "wait":
            ctx.wait_for_signal("answer", timeout_seconds=50_000)
        case "nest":
            ctx.submit("echo", {"a": 1}, key="child")
    return {"large": LARGE, "of": ctx.tenant_id}


class ErasedWorld:
    """`own`: ids of the tasks and workflows of each tenant."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=TENANTS)
        self.store = self.dispatcher.store
        self.dispatcher.register(work, agent_id="worker", slots=8)
        self.dispatcher.register(None, agent_id="slow", slots=3, capabilities=("echo",))
        limits = {"in_flight_max": 40, "tasks_per_minute": 10_000}
        self.dispatcher.set_policy(default_tenant=limits, resources={"gpu": {"kind": "slots", "slots": 50}})
        self.own: dict[str, list[str]] = {tenant_id: [] for tenant_id in TENANTS}
        self.said: list[str] = []
        self.forgotten: list[str] = []
        for tenant_id in TENANTS:
            self._access(tenant_id)
            self._live(tenant_id)
            self._schedule(tenant_id)
        for number in range(2):
            for tenant_id in TENANTS:
                self._tasks(tenant_id, number)
        self.dispatcher.run_until_idle()
        for tenant_id in TENANTS:
            self._followed(tenant_id)
        self.dispatcher.run_until_idle()

    def submit(self, tenant_id: str, **data: Any) -> str:
        task_id = self.dispatcher.submit(tenant_id=tenant_id, labels={"secret": f"label-of-{tenant_id}"}, **data)
        self.own[tenant_id].append(task_id)
        return task_id

    def erasure(self, **changed: Any) -> Erasure:
        ports = ErasurePorts(
            store=self.store,
            blobs=self.dispatcher.blobs,
            cancel_task=lambda task_id: self._cancel("CancelTask", task_id=task_id),
            cancel_workflow=lambda workflow_id: self._cancel("CancelWorkflow", workflow_id=workflow_id),
            forget_schedule=self._forget,
            now=lambda: self.dispatcher.clock.now_ms() / 1_000,
            sleep=self.dispatcher.advance,
            told=self.said.append,
        )
        return Erasure(msgspec.structs.replace(ports, **changed), GONE)

    def erase(self) -> Erased:
        return self.erasure().run()

    def everything(self) -> list[Item]:
        return [item for table in Table for item in self.store.items(table)]

    def left_of(self, tenant_id: str) -> list[str]:
        """Wherever the tenant's name, or the id of something of it, still stands."""
        names = (tenant_id, *self.own[tenant_id], schedule_id_of(tenant_id, "nightly"))
        items = [f"{item.key} {dict(item.attributes)}" for item in self.everything()]
        claims = list(self.dispatcher.blobs.keys(""))
        return [f"{name}: {said[:300]}" for said in (*items, *claims) for name in names if name in said]

    def _cancel(self, name: str, **subject: str) -> None:
        self.dispatcher.command(name, tenant_id=GONE, **subject)

    def _forget(self, schedule_id: str) -> None:
        self.forgotten.append(schedule_id)
        self.dispatcher.schedules.delete(schedule_id)

    def _tasks(self, tenant_id: str, number: int) -> None:
        for do in ("succeed", "fail", "fail-later", "sleep", "wait", "nest"):
            self.submit(tenant_id, task_type="work", payload={"do": do, "n": number})
        soon = self.dispatcher.clock.now_ms() + 100_000
        self.submit(tenant_id, task_type="echo", payload={"n": number}, tier="low", resources={"gpu": 1})
        self.submit(tenant_id, task_type="echo", payload={"n": number}, deadline_ms=soon, deadline_kind="hard")
        self.submit(tenant_id, task_type="nobody-does-this", payload={"n": number})
        key = f"flow-{number}"
        nodes = (node("a"), node("b", "a"), node("c", "a", "b"))
        self.dispatcher.send(workflow_envelope(*nodes, idempotency_key=key, tenant_id=tenant_id))
        self.own[tenant_id].append(keyed_workflow_id(tenant_id, key))
        refused = {"tenant_id": tenant_id, "task_type": "work", "payload": {"$claim_check": {"no": number}}}
        self.dispatcher.send({"metadata": {"name": "SubmitTask", "version": 1}, "data": refused})

    def _access(self, tenant_id: str) -> None:
        for number in range(2):
            said = secret_digest(f"{tenant_id}{number}")
            key_id = f"{tenant_id[:4]}{number:08d}"
            key = AccessKey(
                key_id=key_id,
                kind=KeyKind.API,
                role=Role.PRODUCER,
                created_at_ms=0,
                tenant_id=tenant_id,
                secret_digest=said,
            )
            add_key(self.store, key)
        put_issuer(self.store, self.issuer(tenant_id, (tenant_id,)))
        put_issuer(self.store, self.issuer("both", TENANTS))
        arn = f"arn:aws:iam::123456789012:role/{tenant_id}"
        put_principal(self.store, IamPrincipal(arn=arn, role=Role.PRODUCER, tenant_id=tenant_id))
        data = HookData(name="push", scheme=HookScheme.STANDARD, template={"task_type": "work", "payload": {}})
        hook_id, secret = f"h-{tenant_id[:4]}", HookSecret(number=1, kid="k0")
        add_hook(self.store, Hook(hook_id=hook_id, tenant_id=tenant_id, data=data, secret=secret, created_at_ms=0))
        set_default(self.store, tenant_id, Callback(url="https://hooks.example.com/x"), "k0", 0)

    @staticmethod
    def issuer(name: str, tenants: tuple[str, ...]) -> Issuer:
        url = f"https://{name}.example.com/"
        return Issuer(name=name, issuer=url, audience="us", jwks_url=url, tenants=tenants)

    def _schedule(self, tenant_id: str) -> None:
        template = TaskTemplate(task_type="work", payload={"of": tenant_id})
        data = ScheduleData(name="nightly", expression="rate(1 day)", task=template)
        made = Schedule(
            schedule_id=schedule_id_of(tenant_id, "nightly"),
            tenant_id=tenant_id,
            revision=1,
            change_id=f"c-{tenant_id}",
            created_at_ms=0,
            changed_at_ms=0,
            data=data,
        )
        *operations, _mark = put_operations(None, made, "{}")
        self.store.transact(operations, f"schedule-{tenant_id}")
        self.dispatcher.schedules.put(made.entry)

    def _live(self, tenant_id: str) -> None:
        principal = Principal(principal_id="key.one", role=Role.PRODUCER, tenant_id=tenant_id, key_id="one00000")
        connect(self.store, Connected(connection=self._connection(tenant_id), principal=principal, opened_at_ms=0))
        operator = Principal(principal_id="key.two", role=Role.OPERATOR)
        connect(self.store, Connected(connection=self._connection("op"), principal=operator, opened_at_ms=0))
        for name in (tenant_id, "op"):
            self.dispatcher.event_logs.poster.open(self._connection(name).connection_id)
        open_feed(self.store, tenant_id, self.dispatcher.clock.now_ms())

    def _followed(self, tenant_id: str) -> None:
        """The tenant follows its own, and an operator follows it too."""
        task_id, workflow_id = self.own[tenant_id][0], self.own[tenant_id][9]
        for log, who in ((task_id, tenant_id), (feed_log(tenant_id), tenant_id), (workflow_id, "op"), (task_id, "op")):
            said = Subscription(log=log, connection=self._connection(who), subscription_id="s", cursor=0)
            writes = subscribe_writes(said, self.dispatcher.clock.now_ms())
            self.store.transact(writes, f"{who[:4]}-{log}"[:36])

    @staticmethod
    def _connection(name: str) -> Connection:
        return Connection(connection_id=f"connection-{name[:4]}", api_id="a", domain="d", stage="live")


class BreaksOff:
    """A store whose n-th write from now on fails, and every later one."""

    def __init__(self, store: InMemoryItemStore, at: int) -> None:
        self._store = store
        self._left = at

    def write(self, operation: Write) -> Attributes:
        self._left -= 1
        if self._left <= 0:
            raise StoreUnavailable("gone")
        return self._store.write(operation)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
