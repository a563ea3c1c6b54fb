"""The client for code that blocks."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pushlane.client.api import calls
from pushlane.client.api.core import LOOK_AGAIN_SECONDS, Many
from pushlane.client.api.errors import Invalid, TooLarge
from pushlane.client.api.streams import Stream, Transport, following
from pushlane.client.api.sync_shell import SyncShell
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


class Client(SyncShell):
    """Speaks to one installation over HTTP, for the tenant of its credential. Safe to share between threads.

    Every submission carries an idempotency key (a random one when none is given), so that every call may be repeated:
    what failed on its way or found no room is sent again, within the deadline of `retrying`. Raises `ApiError` by kind.
    """

    # Tasks

    def submit(self, task: Mapping[str, Any] | None = None, **fields: Any) -> Submitted:
        """Submit one task: `task_type`, `payload`, `tier`, ... as `POST /v1/tasks` takes them."""
        return self._run(calls.submit({**(task or {}), **fields}, self._core.new_key()))

    def submit_many(self, tasks: Iterable[Mapping[str, Any]]) -> Batch:
        """Submit tasks in as few calls as possible; each is accepted or refused by itself."""
        many = Many(tasks, self._core.new_key())
        while (following_part := many.next()) is not None:
            part, ask = following_part
            try:
                many.done(self._run(ask))
            except (Invalid, TooLarge) as error:
                many.refused(part, error)
        return many.batch()

    def get(self, task_id: str) -> TaskView:
        """One task as it stands."""
        return self._run(calls.get_task(task_id))

    def list(self, **filters: Any) -> Iterator[TaskView]:
        """The tenant's tasks, the newest first, page after page. Filters: `status`, `task_type`, `tier`, `since_ms`,
        `until_ms`; `limit` is the size of a page.
        """
        cursor: str | None = None
        while True:
            page = self._run(calls.list_tasks(cursor, filters))
            yield from page.tasks
            if (cursor := page.next_cursor) is None:
                return

    def result(self, task_id: str) -> dict[str, Any]:
        """What a succeeded task returned; raises `Conflict` while it runs, `ResultUnavailable` if it failed."""
        view = self._run(calls.task_result(task_id))
        found = calls.result_of(view)
        return self._fetched(str(view.result_url)) if found is None else found

    def why(self, task_id: str) -> WhyView:
        """Why the task is where it is."""
        return self._run(calls.why_task(task_id))

    def cancel(self, task_id: str, *, reason: str | None = None) -> Cancelled:
        """End a task, whatever it is doing; a running attempt has its grace to end by itself."""
        return self._run(calls.cancel_task(task_id, reason))

    def signal(
        self, task_id: str, name: str, data: Mapping[str, Any] | None = None, *, signal_id: str | None = None
    ) -> Signalled:
        """Tell a task something while it runs or waits. With the same `signal_id` a repeat is the same signal."""
        return self._run(calls.signal_task(task_id, name, data, signal_id or self._core.new_key()))

    def wait(self, task_id: str, *, timeout_seconds: float) -> TaskView:
        """The task once it is at rest (ended, or dead-lettered), told by its stream; raises `StillRunning`."""
        until, after = self._core.until(timeout_seconds), 0
        while not (task := self.get(task_id)).at_rest:
            follow = following(Stream("task", task_id), after, self._core.random, rest_too=True)
            try:
                for _ in self._follow(follow, until, Transport.SSE):
                    pass
            except StillRunning:
                raise StillRunning([task_id], timeout_seconds) from None
            if follow.after == after:
                self._sleep(LOOK_AGAIN_SECONDS)
            after = follow.after
        return task

    def wait_all(self, task_ids: Iterable[str], *, timeout_seconds: float) -> dict[str, TaskView]:
        """All the tasks once every one is at rest; raises `StillRunning` naming those that are not in time."""
        until = self._core.until(timeout_seconds)
        wanted, ended = list(dict.fromkeys(task_ids)), dict[str, TaskView]()
        for task_id in wanted:
            try:
                ended[task_id] = self.wait(task_id, timeout_seconds=until - self._core.now())
            except StillRunning:
                raise StillRunning([one for one in wanted if one not in ended], timeout_seconds) from None
        return ended

    # Streams

    def watch(
        self,
        task_id: str,
        *,
        after: int = 0,
        transport: Transport | str = Transport.SSE,
        timeout_seconds: float | None = None,
    ) -> Iterator[Seen]:
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
    ) -> Iterator[Seen]:
        """The same of a workflow: its own facts and everything of its tasks."""
        return self._watch(Stream("workflow", workflow_id), after, transport, timeout_seconds)

    def watch_tenant(
        self,
        tenant_id: str,
        *,
        after: int = 0,
        transport: Transport | str = Transport.SSE,
        timeout_seconds: float | None = None,
    ) -> Iterator[Seen]:
        """The same of all tasks and workflows of a tenant; it has no end."""
        return self._watch(Stream("tenant", tenant_id), after, transport, timeout_seconds)

    def stream_ticket(self, stream: str | None = None, *, life_seconds: int | None = None) -> Ticket:
        """What a browser needs to watch: one task or workflow, or all that the credential may."""
        return self._run(calls.stream_ticket(stream, life_seconds))

    # Workflows

    def submit_workflow(self, workflow: Workflow | Mapping[str, Any]) -> SubmittedWorkflow:
        """Submit tasks with dependencies."""
        return self._run(calls.submit_workflow(workflow, self._core.new_key()))

    def workflow(self, workflow_id: str) -> WorkflowView:
        """One workflow as it stands."""
        return self._run(calls.get_workflow(workflow_id))

    def workflows(self, *, limit: int | None = None) -> Iterator[WorkflowView]:
        """The tenant's workflows, the newest first, page after page."""
        cursor: str | None = None
        while True:
            page = self._run(calls.list_workflows(cursor, limit))
            yield from page.workflows
            if (cursor := page.next_cursor) is None:
                return

    def workflow_nodes(self, workflow_id: str) -> tuple[NodeView, ...]:
        """The workflow's nodes, each with its task and where that stands."""
        return self._run(calls.workflow_nodes(workflow_id)).nodes

    def cancel_workflow(self, workflow_id: str, *, reason: str | None = None) -> WorkflowView:
        """End a workflow: everything of it that has not ended is cancelled."""
        return self._run(calls.cancel_workflow(workflow_id, reason))

    # Schedules

    def make_schedule(self, schedule: Mapping[str, Any] | None = None, **fields: Any) -> ScheduleView:
        """Make a schedule (docs/schedules.md); the same again is the same schedule."""
        return self._run(calls.make_schedule({**(schedule or {}), **fields}))

    def schedule(self, schedule_id: str) -> ScheduleView:
        """One schedule."""
        return self._run(calls.get_schedule(schedule_id))

    def schedules(self) -> Iterator[ScheduleView]:
        """The tenant's schedules, page after page."""
        cursor: str | None = None
        while True:
            page = self._run(calls.list_schedules(cursor))
            yield from page.schedules
            if (cursor := page.next_cursor) is None:
                return

    def change_schedule(self, schedule_id: str, **changed: Any) -> ScheduleView:
        """Change fields of a schedule; `enabled=False` pauses it. Raises `Conflict` if somebody else did just now."""
        return self._run(calls.change_schedule(schedule_id, self.schedule(schedule_id).as_body(**changed)))

    def remove_schedule(self, schedule_id: str) -> None:
        """Remove a schedule; what it has submitted stays."""
        return self._run(calls.remove_schedule(schedule_id))

    # The installation, for an administrator

    def begin_erasing(self, tenant_id: str) -> TenantView:
        """Shut a tenant out for good: nothing of it is taken any more, its credentials open nothing. What it has is
        removed by an operator's `pushlane tenants erase`.
        """
        return self._run(calls.begin_erasing(tenant_id))
