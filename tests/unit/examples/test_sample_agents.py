"""The agents' own layer: a document that can never be read fails for good, anything else is retried."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from examples.agents.chaos import handler as chaos
from examples.agents.chaos.misbehaviour import Misbehaved
from examples.agents.digest import handler as digest
from examples.agents.extract import handler as extract
from examples.agents.summarize import bedrock
from examples.agents.summarize import handler as summarize
from pushlane.agent import Permanent, TaskContext

NOTES = {
    "name": "notes.md",
    "media_type": "text/markdown",
    "text": "# Notes\n\nThe queue holds every task until an agent is free.\n\n- See [the plan](plan.md).\n",
}


class Context:
    """One attempt; it remembers what the agent said."""

    def __init__(self, attempt: int = 1) -> None:
        self.attempt = attempt
        self.check_ins = 0
        self.messages: list[str] = []
        self.tokens = 0
        self.emitted: list[tuple[str, object]] = []

    def used(self, *, tokens: int = 0) -> None:
        self.tokens += tokens

    def check_in(self, *, checkpoint: object = None, progress: object = None) -> None:
        self.check_ins += 1

    def emit(self, kind: str, data: object = None) -> None:
        self.emitted.append((kind, data))

    def log(self, message: str, **fields: Any) -> None:
        self.messages.append(message)


def run(
    work: Callable[[TaskContext, Mapping[str, Any]], Mapping[str, Any]],
    payload: Mapping[str, Any],
    context: Context | None = None,
) -> Any:
    """The result as the next agent gets it."""
    return json.loads(json.dumps(work(cast(TaskContext, context or Context()), payload)))


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bedrock.MODEL_VARIABLE, raising=False)


def test_extract() -> None:
    assert run(extract.work, {"document": NOTES}) == {
        "document": {"name": "notes.md", "title": "Notes", "media_type": "text/markdown", "lines": 5},
        "outline": [{"level": 1, "text": "Notes", "line": 1}],
        "links": [{"text": "the plan", "href": "plan.md", "line": 5}],
        "key_terms": ["Notes", "free", "plan", "agent", "holds"],
        "body": [
            {"line": 3, "text": "The queue holds every task until an agent is free."},
            {"line": 5, "text": "See the plan."},
        ],
    }


def test_summarize_takes_a_document_or_its_extract() -> None:
    extracted = run(extract.work, {"document": NOTES})
    summary = run(summarize.work, extracted)
    assert summary == run(summarize.work, {"document": NOTES})
    assert summary == {
        **{key: extracted[key] for key in ("document", "outline", "links", "key_terms")},
        "sentences": [
            {"line": 3, "text": "The queue holds every task until an agent is free."},
            {"line": 5, "text": "See the plan."},
        ],
        "method": "extractive",
    }


def test_digest_makes_a_section_and_then_a_page() -> None:
    section = run(digest.work, run(summarize.work, {"document": NOTES}))
    page = run(digest.work, {"sections": [section], "title": "Today"})
    assert page["markdown"].startswith("# Today\n\n1. [Notes](#1-notes) - notes.md\n")
    assert section["section"]["markdown"] in page["markdown"]


@pytest.mark.parametrize("work", [extract.work, summarize.work])
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({}, r"^payload: Object missing required field `document`"),
        ({"document": {**NOTES, "text": " \n"}}, r"^document\.text is empty"),
        ({"document": {**NOTES, "text": 7}}, r"^document\.text: Expected `str`, got `int`"),
        ({"document": {**NOTES, "media_type": "application/pdf"}}, r"^document\.media_type: Invalid enum value"),
        ({"document": {**NOTES, "name": ""}}, r"^document\.name: "),
    ],
)
def test_an_invalid_document_fails_for_good_and_names_the_field(
    work: Callable[..., Any], payload: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(Permanent, match=message):
        run(work, payload)


def test_half_an_extract_is_refused() -> None:
    extracted = run(extract.work, {"document": NOTES})
    with pytest.raises(Permanent, match=r"^body: missing"):
        run(summarize.work, {key: value for key, value in extracted.items() if key != "body"})
    with pytest.raises(Permanent, match=r"^outline\[0\]\.line: "):
        run(summarize.work, {**extracted, "outline": [{"level": 1, "text": "Notes", "line": 0}]})


def test_an_invalid_digest_fails_for_good() -> None:
    with pytest.raises(Permanent, match=r"^sections: "):
        run(digest.work, {"sections": []})


def test_what_agents_log_holds_nothing_of_the_document() -> None:
    context = Context()
    run(digest.work, run(summarize.work, run(extract.work, {"document": NOTES}, context), context), context)
    assert context.messages == [
        "extracted 2 paragraphs of 5 lines",
        "chose 2 sentences; method extractive",
        "wrote the section",
    ]


def said(result: Mapping[str, Any]) -> dict[str, Any]:
    """A chaos result without the time at which it ran."""
    return {name: value for name, value in result.items() if name != "ran_at_ms"}


def test_chaos_echoes_and_stops_misbehaving_after_so_many_attempts() -> None:
    order = {"do": "raise", "times": 2, "value": {"a": 1}}
    for attempt in (1, 2):
        with pytest.raises(Misbehaved, match=f"^attempt {attempt} raised"):
            run(chaos.work, order, Context(attempt))
    assert said(run(chaos.work, order, Context(3))) == {"value": {"a": 1}, "attempt": 3}
    assert said(run(chaos.work, {"do": "echo"})) == {"value": None, "attempt": 1}


def test_chaos_sleeps_with_check_ins() -> None:
    context = Context()
    before_ms = time.time_ns() // 1_000_000
    result = run(chaos.work, {"do": "sleep", "seconds": 0.3, "value": 5}, context)
    assert said(result) == {"value": 5, "attempt": 1}
    assert before_ms <= result["ran_at_ms"] < before_ms + 300  # taken first, not after the work
    assert context.check_ins == 2


def test_chaos_tells_those_who_watch_part_by_part() -> None:
    context = Context()
    result = run(chaos.work, {"do": "tell", "steps": 3, "value": "done"}, context)
    assert result == {"value": "done", "attempt": 1, "told": 3}
    assert context.emitted == [("part", {"number": number, "of": 3}) for number in range(3)]


def test_chaos_exits_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def exit_process(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", exit_process)
    with pytest.raises(SystemExit) as caught:
        run(chaos.work, {"do": "exit"})
    assert caught.value.code == 1


@pytest.mark.parametrize("order", [{"do": "permanent"}, {"do": "explode"}, {"do": "sleep", "seconds": -1}, {}])
def test_chaos_fails_for_good_when_ordered_or_misordered(order: Mapping[str, Any]) -> None:
    with pytest.raises(Permanent):
        run(chaos.work, order)


def test_each_agent_takes_the_task_type_of_its_name() -> None:
    works = {"extract": extract.work, "summarize": summarize.work, "digest": digest.work, "chaos": chaos.work}
    assert {name: work.task_types for name, work in works.items()} == {name: (name,) for name in works}
