"""A thousand tasks run through a deployed Pushlane while its console, in a real browser, and `pushlane top` look on."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pushlane.client import SubmitData
from tests.browser.console_page import ConsolePage, console_page
from tests.e2e.conftest import ROOT, Deployed, eventually
from tools.browser import headless_browser

pytestmark = pytest.mark.long

TASKS = 1_000
SHARES = {"noisy": 0.7, "atlas": 0.2, "birch": 0.1}
TOP = ("top", "--json", "--every", "1", "--frames", "1000")
LOOK_SECONDS = 1.0
RUN_SECONDS = 240.0
MEASURED_SECONDS = 30.0
# Looks at which tasks waited, and different numbers of them: fewer would be a still picture.
SEEN_WAITING = 5


def test_a_thousand_tasks_are_seen_to_wait_to_run_and_to_end(deployed: Deployed, tmp_path: Path) -> None:
    with pushlane(deployed, tmp_path / "console.json", "console", "--json") as printed_address:
        address = eventually(lambda: [one["url"] for one in printed_address()], "the address of the console", 60)[0]
        url, _, key = address.partition("#key=")
        with headless_browser() as browser, console_page(browser, url) as tab:
            tab.enter(key)
            with pushlane(deployed, tmp_path / "top.jsonl", *TOP) as printed_frames:
                submit(deployed)
                waiting = watched(tab)
                started = counted(tab)
                frames = printed_frames()
            look_at_a_task(tab)
    assert len({one for one in waiting if one}) >= SEEN_WAITING, waiting
    assert max(waiting) >= TASKS / 20
    assert waiting[-1] == 0
    assert started == TASKS
    told = [one["live"] for one in frames]
    assert len({sum(pool["waiting"] for pool in one["pools"]) for one in told} - {0}) >= SEEN_WAITING
    assert any(pool["used"] for one in told for pool in one["pools"])
    assert sum(pool["waiting"] + pool["used"] for pool in told[-1]["pools"]) == 0


def submit(deployed: Deployed) -> None:
    """All at once, as a burst comes."""
    orders = [
        SubmitData(tenant_id=tenant_id, task_type="chaos", payload={"do": "echo", "value": n})
        for tenant_id, share in SHARES.items()
        for n in range(round(TASKS * share))
    ]
    assert len(orders) == TASKS
    assert not deployed.client.submit_many(orders).refused


def watched(tab: ConsolePage) -> list[int]:
    """How many the page says are waiting, look by look, until nothing waits or runs any more. Kept while it is live."""
    waiting: list[int] = []
    faults: list[str] | None = None
    deadline = time.monotonic() + RUN_SECONDS
    while not over(waiting, figure(tab, "Slots in use")):
        assert time.monotonic() < deadline, f"still busy after {RUN_SECONDS} s: {waiting}"
        time.sleep(LOOK_SECONDS)
        waiting.append(number(figure(tab, "Waiting")))
        if faults is None and len(waiting) > 2 and waiting[-1]:
            faults = tab.faults()
            tab.keep("live-run-1280-light")
    assert faults == []
    assert tab.errors == []
    return waiting


def over(waiting: list[int], slots: str) -> bool:
    """Whether some have waited, and nothing waits or runs now."""
    return any(waiting) and waiting[-1] == 0 and slots.startswith("0 of ")


def counted(tab: ConsolePage) -> int:
    """How many starts the page has heard of in the end; measures come a moment after what they measure."""
    deadline = time.monotonic() + MEASURED_SECONDS
    while (started := number(figure(tab, "Started"))) < TASKS and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    tab.go("tenants", "Tenants")
    assert tab.page.locator(".chart polyline").count() > 0
    assert tab.faults() == []
    tab.keep("live-tenants-1280-light")
    return started


def look_at_a_task(tab: ConsolePage) -> None:
    """From the list to one of them: how it ended, and where its time went."""
    tab.go("tasks?tenant=noisy", "Tasks")
    tab.page.locator("tbody a").first.click()
    tab.page.wait_for_selector(".waterfall")
    assert tab.page.locator("h1 + .pill").inner_text() == "succeeded"
    assert tab.faults() == []
    tab.keep("live-task-1280-light")


def figure(tab: ConsolePage, name: str) -> str:
    """A figure at the head of the page, without its small print."""
    found = tab.page.locator(".figure", has=tab.page.get_by_text(name, exact=True)).locator("dd")
    return found.inner_text().partition("\n")[0].strip()


def number(text: str) -> int:
    return int(text.replace(",", ""))


@contextmanager
def pushlane(deployed: Deployed, path: Path, *words: str) -> Iterator[Callable[[], list[Any]]]:
    """A verb that goes on, for the length of a block; what it yields reads the JSON that it has printed so far."""
    command = [sys.executable, "-c", "from pushlane.cli.main import run; run()", *words]
    with path.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--endpoint", deployed.endpoint_url],
            stdout=out,
            env={**os.environ, "PYTHONPATH": str(ROOT / "shared")},
        )
        try:
            yield lambda: printed(path.read_text())
        finally:
            process.terminate()
            process.wait(timeout=20)


def printed(text: str) -> list[Any]:
    """JSON values one after the other; the last may not be whole yet."""
    values: list[Any] = []
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        try:
            value, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError:
            break
        values.append(value)
        place = end + len(text[end:]) - len(text[end:].lstrip())
    return values
