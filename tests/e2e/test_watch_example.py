"""The example of README that calls the API, as its reader runs it."""

import os
import subprocess
import sys

import pytest

from tests.e2e.api_deployment import ApiDeployed
from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.e2e


def test_a_task_is_submitted_and_watched_to_its_result(api: ApiDeployed) -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "watch_a_task.py")],
        env={**os.environ, "PUSHLANE_API_URL": api.http_url, "PUSHLANE_API_KEY": api.key},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    *events, title = ran.stdout.splitlines()
    assert title == "Hello"
    assert [int(line.split()[0]) for line in events] == list(range(1, len(events) + 1))
    assert events[-1].endswith("TaskSucceeded")
