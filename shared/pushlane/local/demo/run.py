"""The demonstration from start to stop."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.client import AwsClients, Client, Installation, TaskRecord
from pushlane.client.overview import Overview
from pushlane.client.tenants import add_tenant
from pushlane.local.context import LOCAL_CONTEXT
from pushlane.local.demo import account, documents, facts, pages
from pushlane.local.demo.account import Observed
from pushlane.local.demo.facts import FactsTap
from pushlane.local.demo.following import follow
from pushlane.local.demo.ledger import Ledger, send, waves
from pushlane.local.demo.report import Durations, report, table
from pushlane.local.demo.show import Show
from pushlane.local.demo.workload import QUIET_TENANTS, TENANTS, orders
from pushlane.local.deploy import CdkApp, deploy
from pushlane.local.launcher import embedded_aws
from pushlane.local.pickup import PickupComparison, measure
from pushlane.local.sessions import session_for
from pushlane.settings.stage import Stage

if TYPE_CHECKING:
    from boto3.session import Session

PICKUP_SAMPLES: Final = 20
# Of the project's own documents, which become more: so a demonstration stays one of a minute.
OWN_DOCUMENTS: Final = 25
# After the last task ended: its fact, and the reservation counters, need a moment.
SETTLE_SECONDS: Final = 15.0


class Place(Struct, frozen=True, kw_only=True):
    """Where the demonstration works: the CDK app's folder, the documents (None: the app's own), where output goes."""

    root: Path
    documents: Path | None
    output: Path
    work: Path


class Live(Struct, frozen=True):
    """A deployed Pushlane on the local AWS, and how long it took to get there in seconds."""

    session: "Session"
    installation: Installation
    deploy_s: float


class Outcome(Struct, frozen=True):
    """The report as written, and where."""

    report: dict[str, Any]
    report_path: Path
    digest_path: Path


def demonstrate(place: Place, show: Show, *, samples: int = PICKUP_SAMPLES) -> Outcome:
    """Run everything on a local AWS that lives only as long as this call. Broken promises are in the report."""
    started = time.monotonic()
    found, skipped = documents.find(place.documents or place.root)
    for one in skipped:
        show.say(f"left out {one.name}: {one.reason}")
    if place.documents is None and len(found) > OWN_DOCUMENTS:
        show.say(f"{OWN_DOCUMENTS} of the project's {len(found)} documents; with DOCS=folder all that it has")
        found = documents.spread(found, OWN_DOCUMENTS)
    with local_pushlane(place, show) as live:
        return _Demonstration(place, show, live, started).run(found, samples)


@contextmanager
def local_pushlane(place: Place, show: Show) -> Iterator[Live]:
    """A local AWS with Pushlane deployed, stopped however the block ends."""
    started = time.monotonic()
    show.say("starting a local AWS on 127.0.0.1")
    with embedded_aws(log_path=place.work / "ministack.log") as aws:
        deployment = deploy(CdkApp(place.root, LOCAL_CONTEXT), aws, place.work, show.say)
        installation = Installation.from_stacks(Stage.LOCAL, deployment.outputs)
        yield Live(session_for(aws.endpoint_url, aws.region), installation, time.monotonic() - started)


class _Demonstration:
    """One run, with what it needs at every step."""

    def __init__(self, place: Place, show: Show, live: Live, started: float) -> None:
        aws = AwsClients.of(live.session)
        self._place = place
        self._show = show
        self._live = live
        self._started = started
        self._client = Client(live.installation, aws)
        self._store = DynamoItemStore(aws.dynamodb, live.installation.tables)
        self._overview = Overview(live.installation, self._store, aws.sqs)
        self._run_id = uuid.uuid4().hex[:12]
        self._ledger = Ledger(orders={}, submitted={}, repeated={}, refused={})

    def run(self, found: Sequence[documents.Document], samples: int) -> Outcome:
        for tenant_id in TENANTS:
            add_tenant(self._store, tenant_id, time.time_ns() // 1_000_000)
        with facts.subscribed(self._live.session, self._live.installation.facts_bus_name) as tap:
            records = self._work(found, tap)
            digest_path = self._write_pages(found, records, tap)
            self._show.say(f"measuring pickup at low load: {samples} tasks and {samples} passes over bare functions")
            comparison = measure(self._client, self._live.session, samples=samples, tenant_id=QUIET_TENANTS[0])
            observed = self._observe(records, tap)
        return self._report(observed, comparison, digest_path)

    def _work(self, found: Sequence[documents.Document], tap: FactsTap) -> dict[str, TaskRecord]:
        """Submit everything, a wave at a time, and follow it until every task has ended."""
        planned = orders(found, documents.sections(found), self._run_id)
        self._show.say(f"submitting {len(planned)} tasks of {len(TENANTS)} tenants on {len(found)} documents")
        for wave in waves(planned):
            send(self._client, wave, self._ledger)
        self._show.say(f"doors took {len(self._ledger.submitted)} tasks, {len(self._ledger.repeated)} of them twice")
        return self._follow(tap)

    def _write_pages(self, found: Sequence[documents.Document], records: dict[str, TaskRecord], tap: FactsTap) -> Path:
        """The closing task of each quiet tenant; the first tenant's page becomes the digest."""
        self._show.say("writing the digest")
        closing = [
            pages.page_order(self._client, tenant_id, self._ledger, records, self._run_id)
            for tenant_id in QUIET_TENANTS
        ]
        send(self._client, closing, self._ledger)
        records |= self._follow(tap)
        path = self._place.output / "digest.md"
        pages.write_page(self._client, records[closing[0].task_id], found, path)
        return path

    def _follow(self, tap: FactsTap) -> dict[str, TaskRecord]:
        tenants = {task_id: order.data.tenant_id for task_id, order in self._ledger.orders.items()}
        chained = {
            chained: tenants[i] for i in self._ledger.submitted for chained in self._ledger.orders[i].chained_ids
        }
        submitted = {task_id: tenants[task_id] for task_id in self._ledger.submitted}
        return follow(self._client, tap, submitted | chained, news=self._show.progress)

    def _observe(self, records: dict[str, TaskRecord], tap: FactsTap) -> Observed:
        """Look at the tables, queues and facts once nothing moves any more."""
        self._show.say("checking tables, queues and facts")
        ended = [task_id for task_id, record in records.items() if record.at_rest]
        missing = tap.wait_for(ended, SETTLE_SECONDS)
        overview = self._overview
        idle(lambda: overview.live_reservations() == 0 and not any(agent.used for agent in overview.agents()))
        return Observed(
            records=self._client.tasks(self._ledger.expected_ids),
            live_reservations=overview.live_reservations(),
            slots_in_use=sum(agent.used for agent in overview.agents()),
            dlq_depth=sum(queue.total for queue in overview.dead_letters()),
            quarantine_depth=overview.quarantine().total,
            duplicate_effects=tap.seen.duplicates(),
            facts_missing=missing,
        )

    def _report(self, observed: Observed, comparison: PickupComparison, digest_path: Path) -> Outcome:
        durations = Durations(deploy_s=self._live.deploy_s, total_s=time.monotonic() - self._started)
        written = report(self._ledger, observed, comparison, durations)
        path = self._place.output / "report.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        headings, rows = table(account.tenant_rows(self._ledger, observed))
        self._show.table("tasks by tenant, times in ms", headings, rows)
        return Outcome(written, path, digest_path)


def idle(at_rest: Callable[[], bool], *, timeout_seconds: float = SETTLE_SECONDS) -> bool:
    """Wait until `at_rest`; False when the time is over first."""
    deadline = time.monotonic() + timeout_seconds
    while not at_rest():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)
    return True
