"""Two hundred streams at once while two thousand tasks run."""

from collections.abc import Iterator

import msgspec
import pytest

from pushlane.local.submit_to_start import measure
from tests.e2e.api_deployment import ApiDeployed, deployed_api
from tests.edge.report import report
from tests.edge.streaming import figures, stream
from tests.edge.watchers import watchers

# From the commit of a change to its receipt, at the 95th percentile, on a machine that does nothing else.
AIM_MS = 500

pytestmark = pytest.mark.long

WEB_SOCKETS, EVENT_STREAMS = 180, 20
TASKS, TASKS_A_SECOND = 2_000, 5.0
SAMPLES = 50


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDeployed]:
    with deployed_api(tmp_path_factory.mktemp("deploy-api")) as found:
        yield found


def test_two_hundred_streams_hear_every_event_in_order_and_soon(api: ApiDeployed) -> None:
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
    if streamed.first_event_ms.p95 > AIM_MS:  # two hundred clients and the emulator share two cores
        pytest.xfail(f"first event p95 {streamed.first_event_ms.p95} ms, wanted within {AIM_MS}")


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
