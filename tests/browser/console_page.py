"""The console in a browser: opened with a key, gone through view by view, and judged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from playwright.sync_api import Browser, ConsoleMessage, Page

ROOT: Final = Path(__file__).resolve().parents[2]
SCREENSHOTS: Final = ROOT / "build" / "console"
AXE: Final = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# Functions that are started for the first time, on a machine that has other things to do.
WAIT_MS: Final = 90_000
READY: Final = "main:not([aria-busy]) h1"
_JUDGE: Final = """() => axe.run(document).then((found) =>
  found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`))"""


class ConsolePage:
    """One tab with the console. `errors`: what its own console, or a script that broke, has said."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self._url = url
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def enter(self, key: str) -> None:
        """Open it as `pushlane console` does."""
        self.page.goto(f"{self._url}#key={quote(key)}", wait_until="commit")
        self.page.wait_for_selector("#views a")
        self.page.wait_for_selector(READY)

    def go(self, path: str, heading: str | None = None) -> None:
        """Open a view, and wait until it is drawn."""
        self.page.evaluate("path => { location.hash = `#/${path}`; }", path)
        self.page.wait_for_selector(READY if heading is None else f"main:not([aria-busy]) h1:has-text({heading!r})")

    def faults(self, *, judged: bool = True) -> list[str]:
        """What is wrong with the view as it is drawn now; with `judged` also in the eyes of axe-core."""
        wide, width = self.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
        found = [f"{wide} px wide in a window of {width}"] if wide > width else []
        return [*found, *(self._judgement() if judged else []), *self.errors]

    def _judgement(self) -> list[str]:
        """By the browser's own interface, as a debugger: the page's policy lets no foreign script in."""
        self.page.evaluate(AXE.read_text())
        violations: list[str] = self.page.evaluate(_JUDGE)
        return violations

    def keep(self, name: str) -> None:
        """Its whole length as a picture in `build/console/`."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")


@contextmanager
def console_page(
    browser: Browser, url: str, *, width: int = 1280, scheme: Literal["light", "dark"] = "light"
) -> Iterator[ConsolePage]:
    """A tab in a context of its own, for the length of a block."""
    viewport: Any = {"width": width, "height": 900}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce", locale="en-GB")
    try:
        yield ConsolePage(context.new_page(), url)
    finally:
        context.close()
