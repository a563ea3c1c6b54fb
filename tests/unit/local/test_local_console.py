"""What the console without an API may do: read, make tickets, and order what becomes of dead letters; nothing else."""

from pushlane.api.catalogue import OPERATIONS
from pushlane.local.console import orders, readable


class NoClient:
    """Nothing is sent here."""

    def redrive(self, tenant_id: str, task_id: str, *, epoch: int | None = None) -> object:
        raise AssertionError(f"{task_id} of {tenant_id} was not to be redriven ({epoch})")

    def discard(self, tenant_id: str, task_id: str, *, epoch: int | None = None, reason: str | None = None) -> object:
        raise AssertionError(f"{task_id} of {tenant_id} was not to be discarded ({epoch}, {reason})")


def test_it_only_reads() -> None:
    offered = readable()
    assert {one.method for one in offered if one.operation_id != "issueStreamTicket"} == {"GET"}
    assert {one.path for one in offered if one.public} >= {"/console", "/console/{file}"}


def test_it_has_all_that_the_page_asks_for() -> None:
    ids = {one.operation_id for one in readable()}
    assert {"getCaller", "getLive", "getMeasures", "getPoolSamples", "listTasks", "getTask", "explainTask"} <= ids
    assert {"getTaskTrace", "streamTask", "issueStreamTicket", "listDeadLetters", "listPools"} <= ids


def test_dead_letters_are_ordered_about_by_command() -> None:
    theirs = {one.operation_id: one for one in OPERATIONS}
    ours = orders(NoClient())
    assert {one.operation_id for one in ours} == {"redriveDeadLetter", "discardDeadLetter"}
    for one in ours:
        assert one.run is not theirs[one.operation_id].run
        assert (one.path, one.roles, one.body) == (
            theirs[one.operation_id].path,
            theirs[one.operation_id].roles,
            theirs[one.operation_id].body,
        )
