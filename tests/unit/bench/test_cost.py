"""Dollars follow from counts and prices alone."""

import msgspec
import pytest

from bench import cost
from bench.counted_path import Line, Tally
from bench.counts import Counted

PRICES = cost.read_prices()
ASSUMED = PRICES.assumptions


def test_every_price_names_its_source_and_the_file_its_date() -> None:
    assert PRICES.as_of.count("-") == 2
    assert all(price.source.startswith("https://aws.amazon.com/") for price in PRICES.per_million.values())


def test_a_price_file_with_a_wrong_field_is_refused(tmp_path: object) -> None:
    document = msgspec.to_builtins(PRICES) | {"per_milion": {}}
    with pytest.raises(msgspec.ValidationError, match="per_milion"):
        msgspec.json.decode(msgspec.json.encode(document), type=cost.Prices)


def test_what_a_line_is_billed_for() -> None:
    counted = Counted(
        lines={
            Line("intake turn", "Invoke", ""): Tally(calls=1),
            Line("intake turn", "log", ""): Tally(log_bytes=427),
            Line("intake turn", "TransactWriteItems", ""): Tally(calls=1),
            Line("intake turn", "in a transaction", "task"): Tally(entries=1, write_units=3, index_units=1),
            Line("intake turn", "Query", "agent"): Tally(calls=2, read_units=2),
            Line("intake turn", "ReceiveMessage", "intake"): Tally(calls=1, requests=1),
            Line("lifecycle", "SendMessageBatch", "events"): Tally(calls=1, requests=2),
            Line("results turn", "ReceiveMessage", "results"): Tally(calls=1, requests=1),
            Line("lifecycle", "PutEvents", "facts bus"): Tally(calls=1, entries=2, requests=2),
            Line("producer", "PutEvents", "intake bus"): Tally(calls=1, entries=1, requests=1),
        }
    )
    meters = cost.meters_of(counted, ASSUMED)
    ms = ASSUMED.milliseconds
    router_ms = ms["invocation"] + ms["TransactWriteItems"] + 2 * ms["Query"]
    lifecycle_ms = ms["PutEvents"]  # the events queue is told beside it
    assert meters["dynamodb_write_units"] == 3
    assert meters["dynamodb_read_units"] == 2
    assert meters["sqs_fair_requests"] == 1
    assert meters["sqs_fifo_requests"] == 2
    assert meters["sqs_requests"] == 1
    assert meters["eventbridge_events"] == 3
    assert meters["lambda_requests"] == 1
    assert meters["log_kilobytes"] == 0.427
    assert meters["lambda_gb_seconds"] == pytest.approx(router_ms / 1_000 + lifecycle_ms / 1_000 / 2)


def test_what_the_lifecycle_does_beside_its_longest_call_is_shorter_than_that() -> None:
    assert all(ASSUMED.milliseconds[one] <= ASSUMED.milliseconds["PutEvents"] for one in cost._BESIDE_PUT_EVENTS)


def test_a_million_tasks_pay_for_the_hours_in_which_they_come() -> None:
    hours = 1_000_000 / ASSUMED.tasks_per_second / 3_600
    write_price, sqs_price = (PRICES.per_million[name].usd for name in ("dynamodb_write_units", "sqs_requests"))
    made = cost.bill(PRICES, {"dynamodb_write_units": 28.0}, {"sqs_requests": 14_400.0})
    assert made.by_meter["dynamodb_write_units"] == pytest.approx(28 * write_price)
    assert made.by_meter["sqs_requests"] == pytest.approx(14_400 * hours / 1_000_000 * sqs_price)
    assert made.usd == pytest.approx(sum(made.by_meter.values()))


def test_a_meter_without_a_price_is_an_error_and_no_free_lunch() -> None:
    with pytest.raises(KeyError, match="gold"):
        cost.bill(PRICES, {"gold": 1.0})


def test_more_pollers_and_shorter_pauses_cost_more_and_a_bare_queue_least() -> None:
    def fleet(empty_per_hour: float) -> float:
        return cost.bill(PRICES, cost.polling_meters(), cost.polling_idle_meters(empty_per_hour)).usd

    few, many = fleet(4 * 3_600), fleet(100 * 3_600)
    assert fleet(4 * 1_800) < few < many
    assert many < cost.bill(PRICES, cost.step_functions_meters(ASSUMED)).usd


def test_idle_hours_count_empty_receives_of_every_queue_and_sixty_sweeps() -> None:
    sweep = Counted(lines={Line("sweep", "Query", "agent"): Tally(calls=3, read_units=3)})
    hour = cost.idle_meters(10, sweep, ASSUMED)
    assert hour["dynamodb_read_units"] == 180
    assert hour["sqs_requests"] == 10 * ASSUMED.receives_per_hour_of_a_mapping
