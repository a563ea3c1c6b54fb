"""Twenty streams at once, while tasks run at five a second; and how long a submission takes to its agent."""

import msgspec
import pytest

from pushlane.local.submit_to_start import measure
from tests.e2e.api_deployment import ApiDeployed
from tests.edge.report import report
from tests.edge.streaming import figures, stream
from tests.edge.watchers import watchers

# From the commit of a change to its receipt, at the 95th percentile, on a machine that does nothing else.
AIM_MS = 500

pytestmark = pytest.mark.e2e

WEB_SOCKETS, EVENT_STREAMS = 18, 2
TASKS, TASKS_A_SECOND = 100, 5.0
SAMPLES = 40


def test_twenty_streams_hear_every_event_in_order_and_soon(api: ApiDeployed) -> None:
    with watchers(
        api.http_url, api.web_socket_url, api.key, web_sockets=WEB_SOCKETS, event_streams=EVENT_STREAMS
    ) as open_streams:
        streamed = stream(
            open_streams,
            lambda: api.submit({"do": "echo"}),
            api.logged,
            tasks=TASKS,
            tasks_a_second=TASKS_A_SECOND,
        )
    report("streams", figures(streamed))
    print(msgspec.json.encode(streamed).decode())
    assert streamed.count == WEB_SOCKETS + EVENT_STREAMS
    assert streamed.whole, streamed
    assert streamed.first_event_ms.p95 <= AIM_MS, streamed.first_event_ms


def test_from_submission_to_the_agent_is_at_most_one_and_a_half_times_the_floor(api: ApiDeployed) -> None:
    """Emulated: only the ratios mean something. The floor that commits is held; the one whose functions do nothing is
    wanted, and not reached here (ADR 0031).
    """
    found = measure(
        api.deployed.client, api.deployed.session, http_url=api.http_url, credential=api.key, samples=SAMPLES
    )
    report("submit_to_start", msgspec.to_builtins(found))
    print(msgspec.json.encode(found).decode())
    assert found.ratio_to_committing_floor_p50 <= 1.5
    if found.ratio_to_floor_p50 > 1.5:
        pytest.xfail(f"{found.ratio_to_floor_p50} times the floor whose functions do nothing, wanted within 1.5")
