"""Trace files: any file a user brings, and what is said of a bad one."""

import io

import pytest

from pushlane.simulator import InvalidTrace, read_trace, slots_for_load, write_trace
from pushlane.simulator.trace import in_dependency_order
from tests.unit.simulator.traces import a_task

HEADER = "arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on"


def test_a_trace_comes_back_as_it_was_written() -> None:
    tasks = [
        a_task(0, 0.25, 5, tokens=7),
        a_task(1, 1, 2, depends_on=("t0",)),
        a_task(2, 1, 2, depends_on=("t0", "t1")),
    ]
    file = io.StringIO(newline="")
    write_trace(tasks, file)
    assert read_trace(file.getvalue().splitlines()) == tasks


def test_parents_are_separated_by_semicolons_or_spaces() -> None:
    rows = [
        "0,atlas,high,1,1,1,2,,a,",
        "0,atlas,high,1,1,1,2,,b,",
        "0,atlas,high,1,1,1,2,,c,a;b",
        "0,atlas,low,1,1,1,2,,d,a b",
    ]
    read = {task.task_id: task.depends_on for task in read_trace([HEADER, *rows])}
    assert read["c"] == read["d"] == ("a", "b")


def test_the_last_three_columns_may_be_missing_and_tasks_are_put_in_order() -> None:
    header = "arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s"
    tasks = read_trace([header, "2,atlas,high,1,1,1,2", "1,birch,low,1,1,1,2"])
    assert [(task.tenant, task.task_id, task.task_type) for task in tasks] == [
        ("birch", "line-3", "task"),
        ("atlas", "line-2", "task"),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0,atlas,urgent,1,1,1,2,,,", "line 2.*tier"),
        ("0,,high,1,1,1,2,,,", "tenant is empty"),
        ("0,atlas,high,x,1,1,2,,,", "tokens_in"),
        ("0,atlas,high,-1,1,1,2,,,", "tokens_in is -1"),
        ("0,atlas,high,1,1,-1,2,,,", "runtime_s is -1.0; it cannot be negative"),
        ("0,atlas,high,1,1,nan,2,,,", "runtime_s is nan"),
        ("0,atlas,high,1,1,1,inf,,,", "deadline_s is inf"),
        ("0,atlas,high,1,1,1,2,,b,a", "depends_on names 'a'"),
        ("0,atlas,high,1,1,1,2,,b,b", "waits for itself"),
        ("0,atlas,high,1,1", "columns"),
        ("0,atlas,high,1,1,1,2,,b,,9", "columns"),
    ],
)
def test_a_bad_line_is_named(row: str, said: str) -> None:
    with pytest.raises(InvalidTrace, match=said):
        read_trace([HEADER, row])


def test_a_bad_header_is_named() -> None:
    with pytest.raises(InvalidTrace, match="lacks runtime_s"):
        read_trace([HEADER.replace("runtime_s,", ""), ""])


def test_two_tasks_of_one_id_are_named_with_both_lines() -> None:
    row = "0,atlas,high,1,1,1,2,,a,"
    with pytest.raises(InvalidTrace, match="line 3: task_id 'a' is already that of line 2"):
        read_trace([HEADER, row, row])


def test_a_circle_is_named() -> None:
    circle = ["0,atlas,high,1,1,1,2,,a,b", "0,atlas,high,1,1,1,2,,b,a", "0,atlas,high,1,1,1,2,,c,"]
    with pytest.raises(InvalidTrace, match="a, b wait for each other"):
        read_trace([HEADER, *circle])


def test_parents_come_before_children() -> None:
    tasks = [a_task(2, 0, 1, depends_on=("t1",)), a_task(1, 0, 1, depends_on=("t0",)), a_task(0, 0, 1)]
    assert [task.task_id for task in in_dependency_order(tasks)] == ["t0", "t1", "t2"]


@pytest.mark.parametrize(("load", "slots"), [(1.0, 10), (0.5, 20), (2.0, 5), (100.0, 1)])
def test_slots_follow_from_the_offered_load(load: float, slots: int) -> None:
    trace = [a_task(n, n, 9.0909) for n in range(11)]  # 100 seconds of work in 10 seconds
    assert slots_for_load(trace, load) == slots


@pytest.mark.parametrize(("trace", "load"), [([a_task(0, 0, 1)], 1.0), ([a_task(0, 0, 1), a_task(1, 1, 1)], 0.0)])
def test_a_load_that_means_nothing_is_refused(trace: list[object], load: float) -> None:
    with pytest.raises(InvalidTrace):
        slots_for_load(trace, load)  # type: ignore[arg-type]  # parametrize cannot name the element type
