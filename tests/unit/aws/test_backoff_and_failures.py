"""How often and how long, and what is worth repeating."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from pushlane.aws.backoff import Backoff
from pushlane.aws.failures import Failure, SendError, failure_of


def test_pauses_are_full_jitter_under_a_doubling_ceiling() -> None:
    slept: list[float] = []
    backoff = Backoff(
        sends_max=6,
        base_seconds=0.1,
        pause_seconds_max=0.5,
        sleep=slept.append,
        random=iter([1, 0.5, 1, 0, 1]).__next__,
    )
    assert list(backoff.sends()) == [0, 1, 2, 3, 4, 5]
    assert slept == pytest.approx([0.1, 0.1, 0.4, 0, 0.5])


def test_a_call_that_succeeds_at_once_never_sleeps() -> None:
    slept: list[float] = []
    next(Backoff(sleep=slept.append).sends())
    assert slept == []


def error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item]  # the parts that are read


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (error("InternalServerError", 500), Failure.AMBIGUOUS),
        (error("Whatever", 503), Failure.AMBIGUOUS),
        (error("TransactionInProgressException", 400), Failure.AMBIGUOUS),
        (error("RequestTimeout", 400), Failure.AMBIGUOUS),
        (ConnectionClosedError(endpoint_url="http://x"), Failure.AMBIGUOUS),
        (ReadTimeoutError(endpoint_url="http://x"), Failure.AMBIGUOUS),
        (error("ThrottlingException", 400), Failure.BUSY),
        (error("ProvisionedThroughputExceededException", 400), Failure.BUSY),
        (error("TransactionConflictException", 400), Failure.BUSY),
        (error("SlowDown", 503), Failure.BUSY),
        (error("ConditionalCheckFailedException", 400), Failure.REFUSED),
        (error("TransactionCanceledException", 400), Failure.REFUSED),
        (error("AccessDeniedException", 400), Failure.REFUSED),
    ],
)
def test_each_failure_is_of_one_kind(failure: SendError, kind: Failure) -> None:
    assert failure_of(failure) is kind
