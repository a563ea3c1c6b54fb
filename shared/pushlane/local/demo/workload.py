"""What the demonstration submits: a pure plan of orders, waves and doors."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from pushlane.local.demo.documents import Document
from pushlane.model.events import SubmitData
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import EVENT_DOORS, Door, RetryPolicy

QUIET_TENANTS: Final = ("atlas", "birch")
NOISY_TENANT: Final = "noisy"
TENANTS: Final = (*QUIET_TENANTS, NOISY_TENANT)
BURST_MIN: Final = 150
TASKS_MIN: Final = 200
CHAIN: Final = {"chain": "digest"}
# Every tenth submission is sent again, through the next door.
REPEAT_EVERY: Final = 10
# Two tries a tenth of a second apart: enough to show that a retry happens before the task fails.
_TWICE: Final = RetryPolicy(max_attempts=2, backoff_seconds=0.1)


class Order(Struct, frozen=True, kw_only=True):
    """One submission to make: through `door`, and again through `again` if set. `fails_because`: it should fail."""

    data: SubmitData
    door: Door
    again: Door | None = None
    fails_because: str | None = None

    @property
    def task_id(self) -> str:
        return keyed_task_id(self.data.tenant_id, self.data.idempotency_key or "")

    @property
    def chained_ids(self) -> tuple[str, ...]:
        """The tasks that follow when this one succeeds; their keys are made by the follow-up rules."""
        if self.data.task_type != "extract" or self.fails_because:
            return ()
        summary = keyed_task_id(self.data.tenant_id, f"{self.task_id}/summarize")
        return summary, keyed_task_id(self.data.tenant_id, f"{summary}/digest")


def orders(documents: Sequence[Document], sections: Sequence[Document], run_id: str) -> list[Order]:
    """The noisy tenant's burst, every document for each quiet tenant, and a few tasks that fail on purpose.

    `run_id` makes the idempotency keys of this run its own. The doors take turns.
    """
    doors = list(EVENT_DOORS)
    submissions = _interleaved(_quiet(documents, run_id), _burst(sections, len(documents), run_id))
    plain = [
        Order(
            data=data,
            door=doors[place % len(doors)],
            again=doors[(place + 1) % len(doors)] if place % REPEAT_EVERY == 0 else None,
        )
        for place, data in enumerate(submissions)
    ]
    return plain + _failing(run_id)


def index_key(tenant_id: str, run_id: str) -> str:
    """Idempotency key of the last task of a quiet tenant, which writes its page."""
    return f"{run_id}/{tenant_id}/index"


def _quiet(documents: Sequence[Document], run_id: str) -> list[SubmitData]:
    return [
        SubmitData(
            tenant_id=tenant_id,
            task_type="extract",
            payload={"document": document.payload},
            idempotency_key=f"{run_id}/{tenant_id}/{place}",
            labels=CHAIN,
        )
        for place, document in enumerate(documents)
        for tenant_id in QUIET_TENANTS
    ]


def _burst(sections: Sequence[Document], documents: int, run_id: str) -> list[SubmitData]:
    count = max(BURST_MIN, TASKS_MIN - len(QUIET_TENANTS) * documents)
    return [
        SubmitData(
            tenant_id=NOISY_TENANT,
            task_type="summarize",
            payload={"document": sections[place % len(sections)].payload},
            idempotency_key=f"{run_id}/{NOISY_TENANT}/{place}",
        )
        for place in range(count)
    ]


def _failing(run_id: str) -> list[Order]:
    empty = {"name": "empty.md", "media_type": "text/markdown", "text": " "}
    cases: list[tuple[str, str, dict[str, Any], RetryPolicy]] = [
        ("an empty document", "extract", {"document": empty}, RetryPolicy()),
        (
            "a document of a type that no agent reads",
            "extract",
            {"document": {**empty, "media_type": "text/plain"}},
            RetryPolicy(),
        ),
        ("the agent fails for good", "chaos", {"do": "permanent"}, RetryPolicy()),
        ("the agent raises at every attempt", "chaos", {"do": "raise"}, _TWICE),
    ]
    return [
        Order(
            data=SubmitData(
                tenant_id=NOISY_TENANT,
                task_type=task_type,
                payload=payload,
                retry=retry,
                idempotency_key=f"{run_id}/{NOISY_TENANT}/fails-{place}",
            ),
            door=door,
            fails_because=reason,
        )
        for place, (door, (reason, task_type, payload, retry)) in enumerate(zip(EVENT_DOORS, cases, strict=True))
    ]


def _interleaved(quiet: Sequence[SubmitData], burst: Sequence[SubmitData]) -> Iterator[SubmitData]:
    """Quiet documents spread evenly through the burst: they meet it, as they would meet a noisy neighbour."""
    places = [(place / max(1, len(quiet)), 0, data) for place, data in enumerate(quiet)]
    places += [(place / max(1, len(burst)), 1, data) for place, data in enumerate(burst)]
    return (data for _, _, data in sorted(places, key=lambda one: one[:2]))
