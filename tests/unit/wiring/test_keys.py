"""When the signing secret is read: at first use, once a minute, and at an unknown kid, but never in a storm."""

from typing import Any

import pytest

from pushlane.model.errors import InvalidToken, StoreUnavailable
from pushlane.model.keyring import KeyRing
from pushlane.wiring.keys import KEPT_SECONDS, RENEWED_SECONDS, SigningKeys

ROTATED = b'{"current":"k1","keys":{"k0":"zero","k1":"one"}}'


class Secret:
    """A secret with a clock; `error` is raised instead of an answer."""

    def __init__(self) -> None:
        self.value = b"zero"
        self.now = 1_000.0
        self.reads = 0
        self.error: Exception | None = None
        self.logged: list[str] = []
        self.keys = SigningKeys(self.read, lambda: self.now, self.log)

    def read(self) -> bytes:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.value

    def log(self, event: str, **_fields: Any) -> None:
        self.logged.append(event)

    def ring(self) -> KeyRing:
        return self.keys.ring()


@pytest.fixture
def secret() -> Secret:
    return Secret()


def test_it_is_read_at_its_first_use_and_kept_for_a_minute(secret: Secret) -> None:
    assert secret.reads == 0
    assert secret.ring().signing() == ("k0", b"zero")
    secret.value, secret.now = ROTATED, secret.now + KEPT_SECONDS - 1
    assert (secret.ring().signing(), secret.reads) == (("k0", b"zero"), 1)
    secret.now += 1
    assert (secret.ring().signing(), secret.reads) == (("k1", b"one"), 2)


def test_a_key_that_is_out_of_the_ring_is_refused_after_a_minute(secret: Secret) -> None:
    secret.value = ROTATED
    assert secret.ring().key("k0") == b"zero"
    secret.value, secret.now = b'{"current":"k1","keys":{"k1":"one"}}', secret.now + KEPT_SECONDS
    with pytest.raises(InvalidToken, match="'k0'"):
        secret.ring().key("k0")


def test_an_unknown_kid_reads_the_secret_again_once_it_is_five_seconds_old(secret: Secret) -> None:
    ring = secret.ring()
    secret.value = ROTATED
    with pytest.raises(InvalidToken):
        ring.key("k1")
    assert secret.reads == 1
    secret.now += RENEWED_SECONDS
    assert (ring.key("k1"), secret.reads) == (b"one", 2)
    assert secret.ring().signing() == ("k1", b"one")


def test_forged_kids_do_not_become_calls(secret: Secret) -> None:
    for number in range(100):
        secret.now += 0.1
        with pytest.raises(InvalidToken):
            secret.ring().key(f"forged-{number}")
    assert secret.reads <= 1 + 10 / RENEWED_SECONDS


@pytest.mark.parametrize("value", [b"{", None])
def test_a_failing_read_leaves_the_ring_as_it_was(secret: Secret, value: bytes | None) -> None:
    secret.ring()
    secret.now += KEPT_SECONDS
    secret.value, secret.error = value or b"", None if value else StoreUnavailable("no answer")
    assert secret.ring().signing() == ("k0", b"zero")
    assert secret.logged == ["keys-not-read"]
    secret.ring()
    assert secret.reads == 2
    secret.value, secret.error, secret.now = ROTATED, None, secret.now + KEPT_SECONDS
    assert secret.ring().signing() == ("k1", b"one")


def test_without_a_first_answer_there_is_no_ring_and_the_next_use_asks_again(secret: Secret) -> None:
    secret.error = StoreUnavailable("no answer")
    with pytest.raises(StoreUnavailable):
        secret.ring()
    secret.error = None
    assert secret.ring().signing() == ("k0", b"zero")


def test_a_clock_that_goes_back_reads_again(secret: Secret) -> None:
    secret.ring()
    secret.now -= 3_600
    secret.value = ROTATED
    assert secret.ring().signing() == ("k1", b"one")
