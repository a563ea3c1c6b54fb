"""Where traces go, as one setting: `none`, `file:PATH`, `otlp:URL` or `xray`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

NO_TRACES: Final = "none"
# Imported by its name, so that only those bundles hold the OpenTelemetry SDK whose deployment exports over OTLP.
OTLP_MODULE: Final = "pushlane.telemetry.otlp"


class Exporter(StrEnum):
    NONE = "none"
    FILE = "file"
    OTLP = "otlp"
    XRAY = "xray"


@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """What every function knows that exports spans: where to, and the share of the traces (0 to 1)."""

    traces: str = NO_TRACES
    traces_ratio: float = 1.0


@dataclass(frozen=True, kw_only=True)
class TraceTarget:
    """The exporter, and its path or URL (empty for the others)."""

    exporter: Exporter
    place: str = ""


def trace_target(said: str) -> TraceTarget:
    """What the setting says; raises `ValueError` that says what can be said."""
    name, _, place = said.partition(":")
    try:
        exporter = Exporter(name)
    except ValueError as error:
        raise ValueError(f"traces={said!r}: choose none, file:PATH, otlp:URL or xray") from error
    if exporter is Exporter.FILE and not place.startswith("/"):
        raise ValueError(f"traces={said!r}: file: takes an absolute path, as file:/tmp/spans.jsonl")
    if exporter is Exporter.OTLP and not _is_url(place):
        raise ValueError(f"traces={said!r}: otlp: takes a URL, as otlp:http://localhost:4318/v1/traces")
    if exporter in (Exporter.NONE, Exporter.XRAY) and place:
        raise ValueError(f"traces={said!r}: {exporter.value} takes nothing after it")
    return TraceTarget(exporter=exporter, place=place)


def check_ratio(ratio: float) -> float:
    """Raises `ValueError` for what is no share."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"traces_ratio={ratio}: a share from 0 to 1")
    return ratio


def _is_url(place: str) -> bool:
    parts = urlsplit(place)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
