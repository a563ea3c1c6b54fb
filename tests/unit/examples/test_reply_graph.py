"""The reply agent: a LangGraph graph with a person in it, interrupted, preempted and gone on with elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.agents.graph.handler import answering, work
from pushlane.model.attempt import OutcomeKind
from pushlane.testing import AgentRun, run_agent

ROOT = Path(__file__).resolve().parents[3]
REFUND = {"letter": "I was charged twice."}
QUESTION = {"letter": "When do you open?"}


class Model:
    """A writer that counts its calls and may die in one."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self._dies_at = dies_at

    def reply(self, letter: str, kind: str, comments: list[str]) -> str:
        self.calls.append((kind, tuple(comments)))
        if len(self.calls) == self._dies_at:
            raise TimeoutError("the model took too long")
        return f"Reply {len(comments) + 1} to: {letter}"


class Outbox:
    """Takes each key once."""

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}
        self.calls = 0

    def send(self, key: str, text: str) -> str:
        self.calls += 1
        self.sent.setdefault(key, text)
        return f"mail:{key}"


def nodes(run: AgentRun) -> list[str]:
    return [one.data["name"] for one in run.emits if one.kind == "node"]


def test_a_question_is_answered_without_a_person() -> None:
    model, outbox = Model(), Outbox()
    done = run_agent(answering(model, outbox), QUESTION)
    text = "Reply 1 to: When do you open?"
    assert done.result == {"kind": "question", "reply": text, "comments": [], "sent_as": "mail:t-rehearsal/reply"}
    assert nodes(done) == ["sort", "draft", "send"]
    assert outbox.sent == {"t-rehearsal/reply": text}


def test_a_refund_waits_for_a_person_whose_comment_changes_the_draft() -> None:
    model, outbox = Model(), Outbox()
    refuse, approve = {"approved": False, "comment": "too short"}, {"approved": True}
    done = run_agent(answering(model, outbox), REFUND, signals=[("review", refuse), ("review", approve)])
    assert nodes(done) == ["sort", "draft", "review", "draft", "review", "send"]
    assert model.calls == [("refund", ()), ("refund", ("too short",))]
    assert done.result is not None
    assert done.result["comments"] == ["too short"]
    assert list(outbox.sent.values()) == ["Reply 2 to: I was charged twice."]
    asked = [one.data["value"]["draft"] for one in done.emits if one.kind == "interrupt"]
    assert asked == ["Reply 1 to: I was charged twice.", "Reply 2 to: I was charged twice."]


def test_an_interrupted_letter_goes_on_in_another_process(tmp_path: Path) -> None:
    asked = run_agent(work, REFUND)
    assert (asked.kind, asked.awaits) == (OutcomeKind.SUSPENDED, "review")
    stored = tmp_path / "checkpoint.json"
    stored.write_text(json.dumps(asked.checkpoints[-1]))
    pushlane = Path(sys.executable).with_name("pushlane")
    command = [str(pushlane), "agent", "run", "examples.agents.graph.handler:work"]
    command += ["--payload", json.dumps(REFUND), "--checkpoint", str(stored), "--signal", 'review={"approved": true}']
    ended = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["result"]["reply"] == "We pay it back. You wrote: I was charged twice."
    assert [one["data"]["name"] for one in told["emits"] if one["kind"] == "node"] == ["review", "send"]


@pytest.mark.parametrize("check_ins_before", range(5))
def test_preempted_in_the_middle_it_goes_on_with_the_next_node(check_ins_before: int) -> None:
    model, outbox = Model(), Outbox()
    done = run_agent(answering(model, outbox), QUESTION, orders=["continue"] * check_ins_before + ["preempt"])
    assert nodes(done) == ["sort", "draft", "send"]
    assert (len(model.calls), outbox.calls) == (1, 1)


def test_a_model_that_fails_is_asked_again_and_nothing_else_is_repeated() -> None:
    model, outbox = Model(dies_at=2), Outbox()
    reply = answering(model, outbox)
    refuse, approve = ("review", {"approved": False, "comment": "no"}), ("review", {"approved": True})
    failed = run_agent(reply, REFUND, signals=[refuse])
    assert failed.error is not None
    assert failed.error.error_type == "TimeoutError"
    done = run_agent(reply, REFUND, checkpoint=failed.checkpoints[-1], signals=[approve])
    assert nodes(done) == ["draft", "review", "send"]
    assert [comments for _, comments in model.calls] == [(), ("no",), ("no",)]
    assert list(outbox.sent.values()) == ["Reply 2 to: I was charged twice."]


def test_a_letter_without_text_fails_for_good() -> None:
    done = run_agent(work, {"letter": ""})
    assert done.error is not None
    assert (done.error.retryable, done.error.message.split(":")[0]) == (False, "payload.letter")
