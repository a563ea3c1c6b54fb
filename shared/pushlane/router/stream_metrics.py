"""What the streamer did with its batches, as CloudWatch's embedded metric format: a log line that becomes metrics."""

from collections.abc import Mapping
from typing import Any, Final

from pushlane.model.metrics import NAMESPACE

_NAMES: Final = {
    "recorded": "EventsRecorded",
    "stale": "EventsStale",
    "repeated": "EventsRepeated",
    "refused": "EventsRefused",
    "copied": "EventsCopied",
    "frames_delivered": "FramesDelivered",
    "frames_gone": "FramesGone",
    "frames_slow": "FramesSlow",
}


def stream_metrics(counts: Mapping[str, int], now_ms: int, stage: str) -> list[dict[str, Any]]:
    """One line for a batch of which anything was counted."""
    counted = {_NAMES[name]: count for name, count in counts.items() if count}
    if not counted:
        return []
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["stage"]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in counted],
    }
    return [{"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, "stage": stage, **counted}]
