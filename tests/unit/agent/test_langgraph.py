"""LangGraph graphs as agents: every node's end is a checkpoint, an interrupt waits for a signal, never twice."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from pushlane.agent import AgentDefinition, TaskContext, agent
from pushlane.agent.langgraph import TaskSaver, run_graph
from pushlane.agent.langgraph.memory import GraphMemory
from pushlane.model.attempt import OutcomeKind
from pushlane.testing import AgentRun, run_agent


class State(TypedDict, total=False):
    seen: Annotated[list[str], operator.add]


Node = Any  # a function from the state to what it adds


class Died(RuntimeError):
    """The process is gone."""


class Calls:
    """Counts how often each node runs; `dies` names those that die at their first run, after all they do."""

    def __init__(self, *dies: str) -> None:
        self.count: dict[str, int] = {}
        self._dies = set(dies)

    def node(self, name: str, *questions: str) -> Node:
        """A node that asks questions one after the other and notes the answers."""

        def run(_state: State) -> State:
            answers = [f"{interrupt({'signal': one})['say']}" for one in questions]
            self.count[name] = self.count.get(name, 0) + 1
            if name in self._dies:
                self._dies.discard(name)
                raise Died(name)
            return {"seen": [":".join([name, *answers])]}

        return run


def chained(nodes: Mapping[str, Node]) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(State)
    for before, (name, node) in zip([START, *nodes], nodes.items(), strict=False):
        graph.add_node(name, node)
        graph.add_edge(before, name)
    graph.add_edge(list(nodes)[-1], END)
    return graph


def side_by_side(nodes: Mapping[str, Node]) -> StateGraph[Any, Any, Any, Any]:
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(START, name)
        graph.add_edge(name, "join")
    graph.add_node("join", lambda _state: {"seen": ["join"]})
    graph.add_edge("join", END)
    return graph


def agent_of(graph: StateGraph[Any, Any, Any, Any], **how: Any) -> AgentDefinition:
    compiled = graph.compile()

    @agent(task_types=("graph",))
    def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return run_graph(ctx, compiled, payload, **how)

    return work


def until_done(work: AgentDefinition, *, signals: list[tuple[str, Any]] | None = None) -> list[AgentRun]:
    """Run it as the router would: again from the last checkpoint after each death."""
    runs = [run_agent(work, signals=signals or [])]
    while runs[-1].error is not None:
        assert runs[-1].error.error_type == "Died"
        assert len(runs) < 10
        checkpoints = [one for run in runs for one in run.checkpoints]
        runs.append(run_agent(work, checkpoint=checkpoints[-1] if checkpoints else None))
    return runs


def nodes_told(run: AgentRun) -> list[str]:
    return [one.data["name"] for one in run.emits if one.kind == "node"]


def questions_told(*runs: AgentRun) -> list[str]:
    return [one.data["signal"] for run in runs for one in run.emits if one.kind == "interrupt"]


@pytest.mark.parametrize("check_ins_before", range(6))
def test_preempted_anywhere_it_goes_on_with_the_next_node(check_ins_before: int) -> None:
    calls = Calls()
    work = agent_of(chained({name: calls.node(name) for name in "abc"}))
    done = run_agent(work, orders=["continue"] * check_ins_before + ["preempt"])
    assert done.result == {"seen": ["a", "b", "c"]}
    assert calls.count == {"a": 1, "b": 1, "c": 1}
    assert nodes_told(done) == ["a", "b", "c"]
    assert done.invocations == (2 if check_ins_before < len(done.checkpoints) else 1)


def test_cancelled_between_two_nodes_it_ends() -> None:
    calls = Calls()
    done = run_agent(agent_of(chained({name: calls.node(name) for name in "abc"})), orders=["continue", "cancel"])
    assert done.kind is OutcomeKind.CANCELLED
    assert calls.count == {"a": 1}


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_after_a_death_only_the_node_that_died_runs_again(name: str) -> None:
    calls = Calls(name)
    [_, last] = until_done(agent_of(chained({one: calls.node(one) for one in "abc"})))
    assert last.result == {"seen": ["a", "b", "c"]}
    assert calls.count == {"a": 1, "b": 1, "c": 1, name: 2}


def test_a_graph_that_had_ended_is_not_run_again() -> None:
    calls = Calls()
    work = agent_of(chained({name: calls.node(name) for name in "ab"}))
    first = run_agent(work)
    again = run_agent(work, checkpoint=first.checkpoints[-1])
    assert again.result == first.result
    assert calls.count == {"a": 1, "b": 1}


def test_an_interrupt_waits_for_its_signal_and_is_told_once() -> None:
    calls = Calls()
    work = agent_of(chained({"a": calls.node("a"), "b": calls.node("b", "ok"), "c": calls.node("c")}))
    asked = run_agent(work)
    assert (asked.kind, asked.awaits) == (OutcomeKind.SUSPENDED, "ok")
    assert [one.data for one in asked.emits if one.kind == "interrupt"] == [{"signal": "ok", "value": {"signal": "ok"}}]
    answered = run_agent(work, checkpoint=asked.checkpoints[-1], signals=[("other", {}), ("ok", {"say": "yes"})])
    assert answered.result == {"seen": ["a", "b:yes", "c"]}
    assert questions_told(answered) == []
    assert calls.count == {"a": 1, "b": 1, "c": 1}


def test_an_interrupt_without_a_signals_name_waits_for_the_one_that_the_agent_names() -> None:
    def node(_state: State) -> State:
        return {"seen": [interrupt("go on?")["say"]]}

    done = run_agent(agent_of(chained({"a": node}), signal="go"), signals=[("go", {"say": "on"})])
    assert done.result == {"seen": ["on"]}
    assert [one.data for one in done.emits if one.kind == "interrupt"] == [{"signal": "go", "value": "go on?"}]


def test_a_question_that_nobody_answers_in_time_fails_the_attempt() -> None:
    done = run_agent(agent_of(chained({"a": Calls().node("a", "ok")}), timeout_seconds=60))
    assert done.error is not None
    assert (done.error.error_type, done.virtual_seconds) == ("SignalTimeout", 60)


def test_a_node_may_ask_twice() -> None:
    done = run_agent(
        agent_of(chained({"a": Calls().node("a", "ok", "ok")})), signals=[("ok", {"say": "1"}), ("ok", {"say": "2"})]
    )
    assert done.result == {"seen": ["a:1:2"]}
    assert questions_told(done) == ["ok", "ok"]


def test_an_answer_survives_the_death_of_the_attempt_that_got_it() -> None:
    """The signal was taken before the last checkpoint: it does not come again, and nobody is asked again."""
    calls = Calls("a", "b")
    work = agent_of(chained({"a": calls.node("a", "ok", "sure"), "b": calls.node("b")}))
    runs = until_done(work, signals=[("ok", {"say": "1"}), ("sure", {"say": "2"})])
    assert [run.kind for run in runs] == [OutcomeKind.FAILED, OutcomeKind.FAILED, OutcomeKind.SUCCEEDED]
    assert runs[-1].result == {"seen": ["a:1:2", "b"]}
    assert questions_told(*runs) == ["ok", "sure"]


def test_from_every_checkpoint_of_a_run_with_answers_the_rest_is_the_same() -> None:
    def work() -> AgentDefinition:
        calls = Calls()
        return agent_of(chained({"a": calls.node("a", "ok", "ok"), "b": calls.node("b", "ok")}))

    said: list[tuple[str, Mapping[str, Any]]] = [("ok", {"say": str(number)}) for number in range(3)]
    whole = run_agent(work(), signals=said)
    assert whole.result == {"seen": ["a:0:1", "b:2"]}
    answers = [len(one["answers"]) for one in whole.checkpoints]
    assert 1 in answers
    for checkpoint in whole.checkpoints:
        taken = _taken(checkpoint)
        assert run_agent(work(), checkpoint=checkpoint, signals=said[taken:]).result == whole.result


def _taken(checkpoint: Mapping[str, Any]) -> int:
    """How many answers a checkpoint knows: those in the state, those kept for a node, those about to be given."""
    found = TaskSaver(GraphMemory(checkpoint)).get_tuple({"configurable": {"thread_id": "any"}})
    assert found is not None
    written = [(channel, value) for _, channel, value in found.pending_writes or []]
    kept = sum(len(value) for channel, value in written if channel == "__resume__")
    pending = {one.id for channel, value in written if channel == "__interrupt__" for one in value}
    in_state = sum(one.count(":") for one in found.checkpoint["channel_values"].get("seen", []))
    return int(in_state + kept) + len(pending.intersection(checkpoint["answers"]))


def test_nodes_side_by_side_each_get_their_own_answer() -> None:
    calls = Calls("right")
    nodes = {"left": calls.node("left", "l"), "middle": calls.node("middle"), "right": calls.node("right", "r")}
    runs = until_done(agent_of(side_by_side(nodes)), signals=[("r", {"say": "R"}), ("l", {"say": "L"})])
    assert runs[-1].result == {"seen": ["left:L", "middle", "right:R", "join"]}
    assert sorted(questions_told(*runs)) == ["l", "r"]
    assert (calls.count["middle"], calls.count["left"], calls.count["right"]) == (1, 1, 2)


def test_a_subgraph_goes_on_in_its_middle() -> None:
    calls = Calls()
    inner = chained({"x": calls.node("x"), "y": calls.node("y", "ok"), "z": calls.node("z")}).compile()
    graph = chained({"a": calls.node("a"), "inner": inner, "b": calls.node("b")})
    asked = run_agent(agent_of(graph))
    answered = run_agent(agent_of(graph), checkpoint=asked.checkpoints[-1], signals=[("ok", {"say": "yes"})])
    assert answered.result is not None
    assert answered.result["seen"][-2:] == ["z", "b"]
    assert calls.count == {"a": 1, "x": 1, "y": 1, "z": 1, "b": 1}
    assert list(answered.checkpoints[-1]["places"]) == [""]  # nothing is kept of a subgraph that has ended


def test_the_checkpoint_does_not_grow_with_the_number_of_steps() -> None:
    def node(state: Any) -> Any:
        return {"n": state.get("n", 0) + 1}

    class Counting(TypedDict, total=False):
        n: int

    graph = StateGraph(Counting)
    graph.add_node("step", node)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: END if state["n"] == 60 else "step")
    done = run_agent(agent_of(graph))
    assert done.result == {"n": 60}
    sizes = [len(str(one)) for one in done.checkpoints]
    assert max(sizes[10:]) < 1.1 * min(sizes[10:])


def test_a_graph_that_needs_its_history_is_refused() -> None:
    class Growing(TypedDict, total=False):
        seen: Annotated[list[str], DeltaChannel(lambda old, new: [*old, *(one for part in new for one in part)])]

    graph = StateGraph(Growing)
    graph.add_node("a", lambda _state: {"seen": ["a"]})
    graph.add_edge(START, "a")
    done = run_agent(agent_of(graph))
    assert done.error is not None
    assert not done.error.retryable
    assert "DeltaChannel" in done.error.message


def test_only_who_imports_the_adapter_pays_for_langgraph() -> None:
    script = "import sys, pushlane.agent; sys.exit('langgraph' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
