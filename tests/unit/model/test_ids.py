"""Identifiers: what the patterns take, and derived ids that nothing can forge and no release may change."""

import re
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.ids import (
    ID_PATTERN,
    INTAKE_SLOTS,
    IdempotencyKey,
    Identifier,
    digest,
    intake_queue_of,
    intake_slot,
    keyed_task_id,
    stable_bucket,
    unkeyed_task_id,
)

NO_IDENTIFIERS = ["", "a\n", "\na", "a#b", "#", "a b", "é", "aé", "a" * 65, ".a", "-a", "_a", "a/b", "\uff41", "a\x00"]
NO_KEYS = ["", "a\n", "a b", "é", "k" * 129, "a\x7f", "a\tb", "\x00"]


@pytest.mark.parametrize("text", ["a", "A9", "a.b_c-d", "9", "a" * 64, "0-._"])
def test_an_identifier_is_short_plain_ascii(text: str) -> None:
    assert msgspec.convert(text, Identifier) == text


@pytest.mark.parametrize("text", NO_IDENTIFIERS)
def test_what_could_forge_a_key_or_break_a_line_is_no_identifier(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Identifier)
    assert re.match(ID_PATTERN, text) is None


@pytest.mark.parametrize("text", ["k", "order-1", "a#b", "~!@", "k" * 128])
def test_an_idempotency_key_is_any_printable_ascii_without_spaces(text: str) -> None:
    assert msgspec.convert(text, IdempotencyKey) == text


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_no_idempotency_key(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, IdempotencyKey)


PARTS = st.lists(st.text("ab#/\x00|", max_size=4), max_size=4)


@given(PARTS, PARTS)
def test_two_lists_have_one_digest_only_if_they_are_the_same(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


def test_no_delimiter_moves_text_from_one_part_to_the_next() -> None:
    same_text = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c")]
    assert len({digest(*parts) for parts in same_text}) == len(same_text)


def test_a_digest_is_32_hex_digits() -> None:
    assert re.fullmatch("[0-9a-f]{32}", digest("a", "é"))


def test_derived_ids_are_identifiers_and_differ_by_everything_they_name() -> None:
    ids = [
        keyed_task_id("atlas", "k"),
        keyed_task_id("atla", "sk"),
        keyed_task_id("borea", "k"),
        unkeyed_task_id("atlas", "sqs", "k"),
        unkeyed_task_id("atlas", "kinesis", "k"),
        unkeyed_task_id("atlas", "sq", "sk"),
    ]
    assert len(set(ids)) == len(ids)
    assert all(re.match(ID_PATTERN, one) for one in ids)


@given(st.text(), st.integers(1, 1_000))
def test_a_bucket_is_in_range_and_stays_the_same(value: str, buckets: int) -> None:
    assert 0 <= stable_bucket(value, buckets) < buckets
    assert stable_bucket(value, buckets) == stable_bucket(value, buckets)


def test_buckets_are_filled_evenly() -> None:
    counted = Counter(stable_bucket(f"task-{number}", 4) for number in range(4_000))
    assert all(850 < count < 1_150 for count in counted.values())


@given(st.text(), st.sampled_from([1, 2, 4, 8, 16]))
def test_the_slot_of_a_tenant_does_not_depend_on_how_many_queues_there_are(tenant_id: str, queues: int) -> None:
    slot = intake_slot(tenant_id)
    assert 0 <= slot < INTAKE_SLOTS
    assert 0 <= intake_queue_of(slot, queues) < queues


@pytest.mark.parametrize("queues", [1, 2, 4, 8, 16])
def test_every_intake_queue_serves_as_many_slots(queues: int) -> None:
    served = Counter(intake_queue_of(slot, queues) for slot in range(INTAKE_SLOTS))
    assert served == dict.fromkeys(range(queues), INTAKE_SLOTS // queues)


@pytest.mark.parametrize("queues", [1, 2, 4, 8])
def test_with_twice_the_queues_no_queue_gets_a_slot_of_another_that_was_there(queues: int) -> None:
    """So a deployment that adds the new queues first never leaves a slot without one."""
    for slot in range(INTAKE_SLOTS):
        before, after = intake_queue_of(slot, queues), intake_queue_of(slot, 2 * queues)
        assert after in (before, before + queues)


def test_what_is_stored_under_these_values_must_be_found_by_the_next_release() -> None:
    assert digest() == "cae66941d9efbd404e4d88758ea67670"
    assert digest("a", "b") == "4fc56058b4df0ca122be9a2e429541d6"
    assert keyed_task_id("atlas", "order-1") == "t-66071930c10e1d53b243340ed08d34ce"
    assert unkeyed_task_id("atlas", "sqs", "message-1") == "t-81b78d165b6d7fea261d33f5237c5abb"
    assert [stable_bucket(f"t-{number}", 4) for number in range(8)] == [0, 3, 1, 2, 3, 2, 2, 2]
    assert [stable_bucket(f"t-{number}", 8) for number in range(8)] == [4, 3, 1, 2, 3, 6, 2, 6]
    assert [intake_slot(f"t-{number}") for number in range(8)] == [4, 11, 1, 10, 3, 6, 2, 14]
