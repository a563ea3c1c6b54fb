"""The client for code that awaits."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from pushlane.client.api import calls
from pushlane.client.api.async_shell import AsyncShell
from pushlane.client.api.core import LOOK_AGAIN_SECONDS, Many
from pushlane.client.api.errors import Invalid, TooLarge
from pushlane.client.api.streams import Stream, Transport, following
from pushlane.client.api.views import (
    Batch,
    Cancelled,
    NodeView,
    ScheduleView,
    Signalled,
    Submitted,
    SubmittedWorkflow,
    TaskView,
    TenantView,
    Ticket,
    WhyView,
    WorkflowView,
)
from pushlane.client.api.watching import Seen
from pushlane.client.errors import StillRunning
from pushlane.client.workflow_builder import Workflow


class AsyncClient(AsyncShell):
    """Speaks to one installation over HTTP, for the tenant of its credential. Of one event loop.

    Every submission carries an idempotency key (a random one when none is given), so that every call may be repeated:
    what failed on its way or found no room is sent again, within the deadline of `retrying`. Raises `ApiError` by kind.
    """

    # Tasks

    async def submit(self, task: Mapping[str, Any] | None = None, **fields: Any) -> Submitted:
        """Submit one task: `task_type`, `payload`, `tier`, ... as `POST /v1/tasks` takes them."""
        return await self._run(calls.submit({**(task or {}), **fields}, self._core.new_key()))

    async def submit_many(self, tasks: Iterable[Mapping[str, Any]]) -> Batch:
        """Submit tasks in as few calls as possible; each is accepted or refused by itself."""
        many = Many(tasks, self._core.new_key())
        while (following_part := many.next()) is not None:
            part, ask = following_part
            try:
                many.done(await self._run(ask))
            except (Invalid, TooLarge) as error:
                many.refused(part, error)
        return many.batch()

    async def get(self, task_id: str) -> TaskView:
        """One task as it stands."""
        return await self._run(calls.get_task(task_id))

    async def list(self, **filters: Any) -> AsyncIterator[TaskView]:
        """The tenant's tasks, the newest first, page after page. Filters: `status`, `task_type`, `tier`, `since_ms`,
        `until_ms`; `limit` is the size of a page.
        """
        cursor: str | None = None
        while True:
            page = await self._run(calls.list_tasks(cursor, filters))
            for one in page.tasks:
                yield one
            if (cursor := page.next_cursor) is None:
                return

    async def result(self, task_id: str) -> dict[str, Any]:
        """What a succeeded task returned; raises `Conflict` while it runs, `ResultUnavailable` if it failed."""
        view = await self._run(calls.task_result(task_id))
        found = calls.result_of(view)
        return await self._fetched(str(view.result_url)) if found is None else found

    async def why(self, task_id: str) -> WhyView:
        """Why the task is where it is."""
        return await self._run(calls.why_task(task_id))

    async def cancel(self, task_id: str, *, reason: str | None = None) -> Cancelled:
        """End a task, whatever it is doing; a running attempt has its grace to end by itself."""
        return await self._run(calls.cancel_task(task_id, reason))

    async def signal(
        self, task_id: str, name: str, data: Mapping[str, Any] | None = None, *, signal_id: str | None = None
    ) -> Signalled:
        """Tell a task something while it runs or waits. With the same `signal_id` a repeat is the same signal."""
        return await self._run(calls.signal_task(task_id, name, data, signal_id or self._core.new_key()))

    async def wait(self, task_id: str, *, timeout_seconds: float) -> TaskView:
        """The task once it is at rest (ended, or dead-lettered), told by its stream; raises `StillRunning`."""
        until, after = self._core.until(timeout_seconds), 0
        while not (task := await self.get(task_id)).at_rest:
            follow = following(Stream("task", task_id), after, self._core.random, rest_too=True)
            try:
                async for _ in self._follow(follow, until, Transport.SSE):
                    pass
            except StillRunning:
                raise StillRunning([task_id], timeout_seconds) from None
            if follow.after == after:
                await self._sleep(LOOK_AGAIN_SECONDS)
            after = follow.after
        return task

    async def wait_all(self, task_ids: Iterable[str], *, timeout_seconds: float) -> dict[str, TaskView]:
        """All the tasks once every one is at rest; raises `StillRunning` naming those that are not in time."""
        wanted = list(dict.fromkeys(task_ids))
        said = await asyncio.gather(
            *(self.wait(task_id, timeout_seconds=timeout_seconds) for task_id in wanted), return_exceptions=True
        )
        for one in said:
            if isinstance(one, BaseException) and not isinstance(one, StillRunning):
                raise one
        found = {task_id: one for task_id, one in zip(wanted, said, strict=True) if isinstance(one, TaskView)}
        if len(found) < len(wanted):
            raise StillRunning([one for one in wanted if one not in found], timeout_seconds)
        return found

    # Streams

    def watch(
        self,
        task_id: str,
        *,
        after: int = 0,
        transport: Transport | str = Transport.SSE,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Seen]:
        """Everything that happens to a task and that its attempts emit, in order, until it ends: `LoggedEvent`s, or
        `Expired` in the place of what is not kept any more. Lost connections are resumed after what was seen last.

        Raises `StillRunning` after `timeout_seconds`.
        """
        return self._watch(Stream("task", task_id), after, transport, timeout_seconds)

    def watch_workflow(
        self,
        workflow_id: str,
        *,
        after: int = 0,
        transport: Transport | str = Transport.SSE,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Seen]:
        """The same of a workflow: its own facts and everything of its tasks."""
        return self._watch(Stream("workflow", workflow_id), after, transport, timeout_seconds)

    def watch_tenant(
        self,
        tenant_id: str,
        *,
        after: int = 0,
        transport: Transport | str = Transport.SSE,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Seen]:
        """The same of all tasks and workflows of a tenant; it has no end."""
        return self._watch(Stream("tenant", tenant_id), after, transport, timeout_seconds)

    async def stream_ticket(self, stream: str | None = None, *, life_seconds: int | None = None) -> Ticket:
        """What a browser needs to watch: one task or workflow, or all that the credential may."""
        return await self._run(calls.stream_ticket(stream, life_seconds))

    # Workflows

    async def submit_workflow(self, workflow: Workflow | Mapping[str, Any]) -> SubmittedWorkflow:
        """Submit tasks with dependencies."""
        return await self._run(calls.submit_workflow(workflow, self._core.new_key()))

    async def workflow(self, workflow_id: str) -> WorkflowView:
        """One workflow as it stands."""
        return await self._run(calls.get_workflow(workflow_id))

    async def workflows(self, *, limit: int | None = None) -> AsyncIterator[WorkflowView]:
        """The tenant's workflows, the newest first, page after page."""
        cursor: str | None = None
        while True:
            page = await self._run(calls.list_workflows(cursor, limit))
            for one in page.workflows:
                yield one
            if (cursor := page.next_cursor) is None:
                return

    async def workflow_nodes(self, workflow_id: str) -> tuple[NodeView, ...]:
        """The workflow's nodes, each with its task and where that stands."""
        return (await self._run(calls.workflow_nodes(workflow_id))).nodes

    async def cancel_workflow(self, workflow_id: str, *, reason: str | None = None) -> WorkflowView:
        """End a workflow: everything of it that has not ended is cancelled."""
        return await self._run(calls.cancel_workflow(workflow_id, reason))

    # Schedules

    async def make_schedule(self, schedule: Mapping[str, Any] | None = None, **fields: Any) -> ScheduleView:
        """Make a schedule (docs/schedules.md); the same again is the same schedule."""
        return await self._run(calls.make_schedule({**(schedule or {}), **fields}))

    async def schedule(self, schedule_id: str) -> ScheduleView:
        """One schedule."""
        return await self._run(calls.get_schedule(schedule_id))

    async def schedules(self) -> AsyncIterator[ScheduleView]:
        """The tenant's schedules, page after page."""
        cursor: str | None = None
        while True:
            page = await self._run(calls.list_schedules(cursor))
            for one in page.schedules:
                yield one
            if (cursor := page.next_cursor) is None:
                return

    async def change_schedule(self, schedule_id: str, **changed: Any) -> ScheduleView:
        """Change fields of a schedule; `enabled=False` pauses it. Raises `Conflict` if somebody else did just now."""
        return await self._run(
            calls.change_schedule(schedule_id, (await self.schedule(schedule_id)).as_body(**changed))
        )

    async def remove_schedule(self, schedule_id: str) -> None:
        """Remove a schedule; what it has submitted stays."""
        return await self._run(calls.remove_schedule(schedule_id))

    # The installation, for an administrator

    async def begin_erasing(self, tenant_id: str) -> TenantView:
        """Shut a tenant out for good: nothing of it is taken any more, its credentials open nothing. What it has is
        removed by an operator's `pushlane tenants erase`.
        """
        return await self._run(calls.begin_erasing(tenant_id))
