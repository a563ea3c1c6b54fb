"""The account finds every broken promise, and none where there is none."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pushlane.local.demo import account
from pushlane.local.demo.account import Observed
from pushlane.local.demo.ledger import Ledger
from pushlane.local.demo.report import Durations, report, table
from pushlane.local.pickup import compared
from pushlane.model.task import Status
from tests.unit.local.demo.worlds import ledger_of, observed_of, planned, record

LEDGER = ledger_of(planned())
ONE = next(i for i, order in LEDGER.orders.items() if order.chained_ids)
CHAINED = LEDGER.orders[ONE].chained_ids[0]
FAILING = next(i for i, order in LEDGER.orders.items() if order.fails_because)


def without(task_id: str) -> Observed:
    good = observed_of(LEDGER)
    return observed_of(LEDGER, records={i: one for i, one in good.records.items() if i != task_id})


def with_status(task_id: str, status: Status) -> Observed:
    good = observed_of(LEDGER)
    return observed_of(LEDGER, records={**good.records, task_id: record(task_id, "atlas", status)})


def test_a_good_run_has_no_problem() -> None:
    assert account.problems(LEDGER, observed_of(LEDGER)) == []


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (without(ONE), "no single end"),
        (with_status(ONE, Status.PARKED), "no single end"),
        (observed_of(LEDGER, duplicate_effects=frozenset({ONE})), "more than once"),
        (without(CHAINED), "chained"),
        (with_status(CHAINED, Status.DISPATCHED), "chained"),
        (with_status(FAILING, Status.SUCCEEDED), "meant to fail"),
        (observed_of(LEDGER, facts_missing=frozenset({ONE})), "never published"),
        (observed_of(LEDGER, live_reservations=1), "reservations"),
        (observed_of(LEDGER, slots_in_use=2), "slots"),
        (observed_of(LEDGER, dlq_depth=3), "dead-letter"),
        (observed_of(LEDGER, quarantine_depth=1), "quarantine"),
    ],
)
def test_a_broken_promise_is_named(observed: Observed, words: str) -> None:
    assert any(words in problem for problem in account.problems(LEDGER, observed))


def failing(share: float) -> Observed:
    good = observed_of(LEDGER)
    victims = list(LEDGER.submitted)[: round(share * len(LEDGER.submitted))]
    return observed_of(LEDGER, records={**good.records, **{i: record(i, "atlas", Status.FAILED) for i in victims}})


def test_too_many_failures_are_a_problem() -> None:
    assert any("only" in problem for problem in account.problems(LEDGER, failing(0.06)))


def refused(ledger: Ledger) -> Ledger:
    return msgspec.structs.replace(ledger, refused={"t-1": "busy"})


def one_door_shut(ledger: Ledger) -> Ledger:
    kept = {i: one for i, one in ledger.submitted.items() if one.door != "kinesis"}
    return msgspec.structs.replace(ledger, submitted=kept, repeated={})


@pytest.mark.parametrize(("change", "words"), [(refused, "refused"), (one_door_shut, "door kinesis")])
def test_doors_are_held_to_account(change: Callable[[Ledger], Ledger], words: str) -> None:
    ledger = change(LEDGER)
    assert any(words in problem for problem in account.problems(ledger, observed_of(ledger)))


def test_pickup_counts_first_attempts_from_the_doors_yes() -> None:
    good = observed_of(LEDGER)
    early = record(ONE, "atlas", started_at_ms=1)
    retried = record(FAILING, "noisy", Status.FAILED, epoch=2)
    observed = observed_of(LEDGER, records={**good.records, ONE: early, FAILING: retried})
    pickups = account.pickups_ms(LEDGER, observed)
    assert sorted(set(pickups)) == [0, 40]
    assert len(pickups) == len(LEDGER.submitted) - 1


def test_failures_are_told_apart() -> None:
    observed = with_status(ONE, Status.FAILED)
    assert account.failed_unexpectedly(LEDGER, observed) == {ONE: "Permanent: as asked"}
    assert {one.status for one in account.failed_on_purpose(LEDGER, observed)} == {"FAILED"}


def made_report(observed: Observed) -> dict[str, Any]:
    comparison = compared([20.0, 40.0], [10.0, 20.0], [20.0, 20.0], "agent code")
    return report(LEDGER, observed, comparison, Durations(deploy_s=4.04, total_s=60.0))


def test_the_report_says_it_all() -> None:
    made = made_report(observed_of(LEDGER))
    meant_to_fail = len([order for order in LEDGER.orders.values() if order.fails_because])
    assert made["submitted"] == len(LEDGER.orders)
    assert made["succeeded"] == made["submitted"] - meant_to_fail
    assert (made["failed"], made["lost"], made["live_reservations"], made["dlq_depth"]) == (meant_to_fail, 0, 0, 0)
    assert set(made["doors"]) == {"eventbridge", "sns", "sqs", "kinesis"}
    assert made["chained"]["expected"] == made["chained"]["ended"] == 12
    assert made["pickup_ms"]["by_tenant"].keys() == {"atlas", "birch", "noisy"}
    assert (made["pickup_ms"]["ratio_p50"], made["pickup_ms"]["ratio_p99"]) == (2.0, 2.0)
    assert (made["deploy_s"], made["total_s"], made["problems"]) == (4.0, 60.0, [])
    assert msgspec.json.decode(msgspec.json.encode(made)) == made


def test_the_report_counts_what_is_lost() -> None:
    assert made_report(without(ONE))["lost"] == 1


def test_the_table_has_a_row_for_each_tenant() -> None:
    headings, rows = table(account.tenant_rows(LEDGER, observed_of(LEDGER)))
    assert [row[0] for row in rows] == ["atlas", "birch", "noisy"]
    assert all(len(row) == len(headings) for row in rows)
