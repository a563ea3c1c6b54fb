"""Trace context as headers say it, the share of traces that is exported, and the ids of a task's spans."""

from typing import Any

import pytest

from pushlane.model.task import Task
from pushlane.model.trace_context import (
    TraceContext,
    is_sampled,
    read_traceparent,
    read_xray_header,
    task_trace,
    trace_id_in,
    workflow_trace,
)
from pushlane.model.workflow import WorkflowPlace
from tests.unit.values import a_task

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"


def of(**changes: Any) -> Task:
    return a_task(**changes)


def test_a_traceparent_is_read_and_written_as_the_standard_says() -> None:
    found = read_traceparent(GIVEN)
    assert found == TraceContext(TRACE, SPAN, sampled=True)
    assert found.traceparent == GIVEN
    left_out = read_traceparent(GIVEN[:-1] + "0")
    assert left_out is not None
    assert not left_out.sampled
    # A later version may say more behind what is known.
    assert read_traceparent(f"01-{TRACE}-{SPAN}-01-more") == found
    assert trace_id_in(GIVEN) == TRACE


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "t",
        GIVEN.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        GIVEN + "\n",
    ],
)
def test_what_is_no_traceparent_begins_a_new_trace(said: str | None) -> None:
    assert read_traceparent(said) is None
    assert task_trace(of(traceparent=said)) == task_trace(of(traceparent=None))
    assert trace_id_in(said) is None


def test_x_rays_header_names_the_same_place() -> None:
    place = TraceContext(TRACE, SPAN, sampled=True)
    assert place.xray_header == f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1"
    assert read_xray_header(place.xray_header) == place
    unsampled = read_xray_header(f"Parent={SPAN}; Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=0;Lineage=a:1")
    assert unsampled == TraceContext(TRACE, SPAN, sampled=False)


@pytest.mark.parametrize(
    "said", [None, "", "Root=1-abc", f"Root=1-{TRACE[:8]}-{TRACE[8:]}", "Parent=;Root=;", "nonsense"]
)
def test_a_header_of_x_ray_without_a_place_says_nothing(said: str | None) -> None:
    assert read_xray_header(said) is None


def test_the_share_of_traces_is_as_large_as_was_said_and_the_same_for_all_who_look() -> None:
    ids = [task_trace(of(task_id=f"t-{number}", traceparent=None)).trace_id for number in range(4_000)]
    taken = [one for one in ids if is_sampled(one, 0.25)]
    assert 0.22 < len(taken) / len(ids) < 0.28
    assert all(is_sampled(one, 0.5) for one in taken)  # a larger share has all of a smaller one
    assert not any(is_sampled(one, 0.0) for one in ids)
    assert all(is_sampled(one, 1.0) for one in ids)


def test_a_task_goes_on_in_its_producers_trace_or_has_one_of_its_own() -> None:
    given = task_trace(of(traceparent=GIVEN))
    assert (given.trace_id, given.parent_id, given.sampled) == (TRACE, SPAN, True)
    own, other = task_trace(of(traceparent=None)), task_trace(of(task_id="t-other", traceparent=None))
    assert own.parent_id is None
    assert own.trace_id not in (given.trace_id, other.trace_id)
    assert own == task_trace(of(traceparent=None))


def test_ids_of_spans_follow_from_what_they_are_about() -> None:
    trace = task_trace(of(traceparent=GIVEN))
    ids = [trace.root.span_id, trace.run(1).span_id, trace.run(2).span_id, trace.id_of("accept", "0")]
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 16 and int(one, 16) for one in ids)
    assert trace.run(1) == task_trace(of(traceparent=GIVEN)).run(1)
    assert read_traceparent(trace.run(1).traceparent) == trace.run(1)


def test_a_workflows_nodes_share_its_trace_and_stand_under_it() -> None:
    place = WorkflowPlace(workflow_id="w-1", node="a", index=0, nodes=2)
    node, sibling = of(workflow=place, traceparent=None), of(workflow=place, task_id="t-b", traceparent=None)
    whole = workflow_trace("w-1", None)
    assert task_trace(node).trace_id == task_trace(sibling).trace_id == whole.trace_id
    assert task_trace(node).parent_id == whole.root.span_id
    assert task_trace(node).root != task_trace(sibling).root
    given = task_trace(of(workflow=place, traceparent=GIVEN))
    assert given.trace_id == TRACE
    assert given.parent_id == workflow_trace("w-1", GIVEN).root.span_id
