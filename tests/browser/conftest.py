"""One browser for the tests of a file: it is expensive to start, and each test has pages of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tools.browser import headless_browser

# A machine that has other things to do may take its time; what is expected comes, or does not.
expect.set_options(timeout=60_000)


# Not for the session: Playwright's event loop would run under every later test of the process.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as opened:
        yield opened
