"""The console in a real browser, over an installation in this process: every view by day and night, narrow and wide."""

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.console_page import ConsolePage, console_page
from tests.browser.console_world import ConsoleWorld, open_console

pytestmark = pytest.mark.xdist_group("browser")  # a browser is expensive to start

Console = tuple[ConsoleWorld, str]
# Both widths and both palettes once: axe-core takes most of the time.
JUDGED = ((1280, "light"), (390, "dark"))


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with open_console() as opened:
        yield opened


@pytest.fixture
def tab(browser: Browser, console: Console) -> Iterator[ConsolePage]:
    with console_page(browser, console[1]) as opened:
        yield opened


def views(world: ConsoleWorld) -> dict[str, tuple[str, str]]:
    """Name -> (path, heading)."""
    return {
        "now": ("", "Now"),
        "tenants": ("tenants", "Tenants"),
        "tasks": ("tasks?tenant=noisy", "Tasks"),
        "task-waiting": (f"tasks/{world.waiting}", "extract"),
        "task-running": (f"tasks/{next(iter(world.running))}", "extract"),
        "dead-letters": ("dead-letters", "Dead letters"),
    }


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (390, "light"), (1280, "dark")])
def test_every_view_is_whole(browser: Browser, console: Console, width: int, scheme: Literal["light", "dark"]) -> None:
    world, url = console
    found: dict[str, list[str]] = {}
    with console_page(browser, url, width=width, scheme=scheme) as tab:
        tab.enter(world.operator)
        for name, (path, heading) in views(world).items():
            tab.go(path, heading)
            if faults := tab.faults(judged=(width, scheme) in JUDGED):
                found[name] = faults
            tab.keep(f"{name}-{width}-{scheme}")
    assert found == {}


def test_without_a_key_it_asks_for_one_and_keeps_it_out_of_the_address(tab: ConsolePage, console: Console) -> None:
    world, url = console
    tab.page.goto(url)
    tab.page.wait_for_selector("#key")
    assert tab.faults() == []
    tab.keep("door-1280-light")
    tab.page.get_by_label("API key or token").fill("pl_nobodyhasit_" + "0" * 64)
    tab.page.get_by_role("button", name="Open").click()
    expect(tab.page.locator(".notice")).to_contain_text("not, or no longer, valid")
    tab.page.get_by_label("API key or token").fill(world.operator)
    tab.page.get_by_role("button", name="Open").click()
    expect(tab.page.locator("h1")).to_have_text("Now")
    assert world.operator not in tab.page.url
    tab.page.get_by_role("button", name="Leave").click()
    expect(tab.page.locator("#key")).to_be_visible()
    assert tab.page.evaluate("() => sessionStorage.length") == 0


def test_a_tenant_sees_its_own_only(tab: ConsolePage, console: Console) -> None:
    tab.enter(console[0].producer)
    assert tab.page.locator("#views a").all_inner_texts() == ["Tenants", "Tasks"]
    expect(tab.page.locator("h1")).to_have_text("Latency and deadlines")
    assert "birch" not in tab.page.locator("main").inner_text()
    assert tab.faults() == []


def test_what_happens_to_a_task_shows_up_by_itself(tab: ConsolePage, console: Console) -> None:
    world, _ = console
    task_id = next(iter(world.running))
    tab.enter(world.operator)
    tab.go(f"tasks/{task_id}", "extract")
    expect(tab.page.locator(".events")).to_contain_text("TaskStarted")
    expect(tab.page.locator("h1 + .pill")).to_have_text("dispatched")
    tab.page.evaluate("() => { window.seen = document.querySelector('h1'); }")
    world.finish(task_id)
    expect(tab.page.locator(".events")).to_contain_text("TaskSucceeded")
    expect(tab.page.locator("h1 + .pill")).to_have_text("succeeded")
    assert tab.page.evaluate("() => window.seen === document.querySelector('h1')"), "the page was built anew"
    assert tab.faults() == []


def test_a_dead_task_is_brought_back_and_another_given_up_by_keyboard(tab: ConsolePage, console: Console) -> None:
    world, _ = console
    first, second, *rest = world.dead
    tab.enter(world.operator)
    tab.go("dead-letters", "Dead letters")
    letters = tab.page.locator(".letter")
    expect(letters).to_have_count(len(world.dead))
    letters.nth(0).get_by_role("button", name="Redrive").focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#said")).to_contain_text("on its way again")
    expect(letters).to_have_count(len(rest) + 1)
    letters.nth(0).get_by_role("button", name="Discard").focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    assert tab.faults() == []
    tab.keep("discard-1280-light")
    tab.page.keyboard.press("Escape")
    expect(letters).to_have_count(len(rest) + 1)
    letters.nth(0).get_by_role("button", name="Discard").click()
    tab.page.get_by_role("button", name="Discard it").click()
    expect(letters).to_have_count(len(rest))
    said = {
        one: world.api.call("GET", f"/v1/tasks/{one}", principal=world.api.operator()).body for one in (first, second)
    }
    assert said[first]["status"] != "DEAD_LETTERED"
    assert said[second]["status"] == "FAILED"


def test_what_a_task_says_is_text(tab: ConsolePage, console: Console) -> None:
    """An error message cannot become a part of the page."""
    world, _ = console
    tab.enter(world.operator)
    tab.go("tasks/<img src=x onerror=alert(1)>")
    expect(tab.page.locator(".notice")).to_be_visible()
    assert tab.page.locator("main img").count() == 0
