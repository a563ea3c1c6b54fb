"""What verbs send through the doors is signed where there is a key for it."""

from typing import Any, cast

import pytest

from pushlane.cli.target import ENVELOPE_KEY, Target
from pushlane.model.envelope_proof import InvalidEnvelopeKey, envelope_key
from pushlane.model.keyring import ring_of
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of

KEY = envelope_key(ring_of(b"a key for tests only"), "abcd1234", "atlas")


def cancelled(monkeypatch: pytest.MonkeyPatch, text: str | None) -> str:
    """What a cancel sends with this key in the environment."""
    monkeypatch.delenv(ENVELOPE_KEY, raising=False)
    if text is not None:
        monkeypatch.setenv(ENVELOPE_KEY, text)
    aws = RecordingClient(accepting)
    target = Target(cast(Any, None), INSTALLATION)
    target.__dict__["aws"] = aws_of(aws)
    target.client.cancel("atlas", "t-1")
    ((_, arguments),) = aws.calls
    return str(arguments["Entries"][0]["MessageBody"])


def test_with_a_key_in_the_environment_verbs_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    assert '"key_id":"abcd1234"' in cancelled(monkeypatch, KEY.text())


@pytest.mark.parametrize("text", [None, ""])
def test_without_one_they_do_not(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    assert "proof" not in cancelled(monkeypatch, text)


def test_what_is_no_key_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidEnvelopeKey, match="ple_"):
        cancelled(monkeypatch, "pl_something_else")
