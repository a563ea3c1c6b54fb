"""The research agent: each step is done once, however often it is interrupted, and its page is published once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from examples.agents.research.handler import researcher, work
from examples.agents.research.publishing import BUCKET_VARIABLE, BucketPublisher, publisher_from_environment
from pushlane.model.attempt import OutcomeKind
from pushlane.testing import AgentRun, InMemoryDispatcher, run_agent

DOCUMENTS = [
    ("lanes.md", "# Lanes\n\nA lane is the queue of one tenant in one tier. It is served when its turn comes.\n"),
    ("cats.md", "# Cats\n\nThe cat sleeps on the warm stove in the kitchen all day.\n"),
    ("tiers.html", "<h1>Tiers</h1><p>A tier is served before every tier that stands below it in the list.</p>"),
]
PAYLOAD = {
    "question": "When is a lane served?",
    "documents": [
        {"name": name, "media_type": "text/html" if name.endswith("html") else "text/markdown", "text": text}
        for name, text in DOCUMENTS
    ],
}


@pytest.fixture(autouse=True)
def _no_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(BUCKET_VARIABLE, raising=False)
    publisher_from_environment.cache_clear()
    yield
    publisher_from_environment.cache_clear()


def read_documents(run: AgentRun) -> list[str]:
    return [one.data["document"] for one in run.emits if one.kind == "read"]


class Shelf:
    """Counts the pages that come; the first `failures` calls die after the page has arrived."""

    def __init__(self, failures: int = 0) -> None:
        self.pages: list[tuple[str, str]] = []
        self._failures = failures

    def publish(self, key: str, markdown: str) -> str:
        self.pages.append((key, markdown))
        if len(self.pages) <= self._failures:
            raise ConnectionResetError("the answer was lost")
        return f"shelf:{key}"


def test_it_answers_with_verbatim_sentences_and_their_places() -> None:
    done = run_agent(work, PAYLOAD)
    assert done.result is not None
    assert done.result["markdown"].startswith("# When is a lane served?\n\n- ")
    assert "A lane is the queue of one tenant in one tier. [Lanes](lanes.md#L3)" in done.result["markdown"]
    assert done.result["sources"] == ["lanes.md", "tiers.html"]
    assert done.result["published_as"] is None
    assert done.result == run_agent(work, PAYLOAD).result
    assert [said["fraction"] for said in done.progress] == pytest.approx([0.8 / 3, 1.6 / 3, 0.8])
    assert [one.kind for one in done.emits if one.kind != "progress"] == ["read", "read", "read", "page"]


def test_a_question_that_no_document_answers() -> None:
    done = run_agent(work, {**PAYLOAD, "question": "Why xylophones?"})
    assert done.result is not None
    assert done.result["markdown"] == "# Why xylophones?\n\nNone of 3 documents says anything about it.\n"


# Reading a document checks in twice: its progress, its checkpoint.
@pytest.mark.parametrize("check_ins_before", range(9))
def test_preempted_anywhere_it_repeats_at_most_the_step_it_was_in(check_ins_before: int) -> None:
    done = run_agent(work, PAYLOAD, orders=["continue"] * check_ins_before + ["preempt"])
    assert done.result == run_agent(work, PAYLOAD).result
    assert read_documents(done) == ["lanes.md", "cats.md", "tiers.html"]
    assert done.invocations == (2 if check_ins_before < 8 else 1)


def test_it_goes_on_from_every_checkpoint_of_an_attempt_that_died() -> None:
    whole = run_agent(work, PAYLOAD)
    assert len(whole.checkpoints) == 5
    for place, checkpoint in enumerate(whole.checkpoints, start=1):
        resumed = run_agent(work, PAYLOAD, checkpoint=checkpoint)
        assert resumed.result == whole.result
        assert read_documents(resumed) == read_documents(whole)[place:]
        assert ("page" in [one.kind for one in resumed.emits]) is (place < 5)


def test_an_attempt_that_dies_after_it_published_publishes_the_same_page_under_the_same_key() -> None:
    shelf = Shelf(failures=1)
    dispatcher = InMemoryDispatcher()
    dispatcher.register(researcher(lambda: shelf), agent_id="researcher")
    task_id = dispatcher.submit(task_type="research", payload=PAYLOAD)
    dispatcher.run_until_idle()
    dispatcher.advance(120)
    result: Any = dispatcher.result(task_id)
    assert result["published_as"] == f"shelf:{task_id}/page"
    assert shelf.pages == [(f"{task_id}/page", result["markdown"])] * 2


def test_the_bucket_keeps_the_first_page_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1" if name.endswith("REGION") else "test")
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="pages")
        monkeypatch.setenv(BUCKET_VARIABLE, "pages")
        publisher_from_environment.cache_clear()
        done = run_agent(work, PAYLOAD)
        assert done.result is not None
        where = done.result["published_as"]
        assert where.startswith("s3://pages/")
        key = where.removeprefix("s3://pages/")
        assert BucketPublisher("pages", s3).publish(key.removesuffix(".md"), "another") == where
        assert s3.get_object(Bucket="pages", Key=key)["Body"].read().decode() == done.result["markdown"]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({**PAYLOAD, "documents": []}, "payload.documents"),
        ({**PAYLOAD, "question": 7}, "payload.question"),
        ({**PAYLOAD, "documents": [{"name": "a.md", "media_type": "text/markdown", "text": " "}]}, "a.md: document"),
    ],
)
def test_what_can_never_be_researched_fails_for_good(payload: dict[str, Any], message: str) -> None:
    done = run_agent(work, payload)
    assert done.kind is OutcomeKind.FAILED
    assert done.error is not None
    assert (done.error.retryable, done.error.message[: len(message)]) == (False, message)
