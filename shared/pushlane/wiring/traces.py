"""Where a function's spans go. Nothing of an exporter is imported unless it is configured."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from pushlane.model.errors import InvalidSetting
from pushlane.model.span import Attribute, Span
from pushlane.ports import SpanExporter, SpansNotExported, Tracing
from pushlane.settings.traces import (
    NO_TRACES,
    OTLP_MODULE,
    Exporter,
    TraceSettings,
    TraceTarget,
    check_ratio,
    trace_target,
)


class Guarded:
    """An exporter whose failures are logged and forgotten: no task fails, and no batch comes again, for its spans."""

    def __init__(self, exporter: SpanExporter, log: Callable[..., None]) -> None:
        self._exporter = exporter
        self._log = log

    def export(self, spans: Sequence[Span]) -> None:
        """See `SpanExporter.export`; it does not raise."""
        try:
            self._exporter.export(spans)
        except SpansNotExported as error:
            self._log("spans-lost", spans=len(spans), error=str(error)[:300])


def tracing_of(settings: TraceSettings, stage: str, service: str, log: Callable[..., None]) -> Tracing | None:
    """How the function traces; None where it does not. Raises `InvalidSetting` for what cannot be."""
    if settings.traces == NO_TRACES:
        return None
    try:
        target, ratio = trace_target(settings.traces), check_ratio(settings.traces_ratio)
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if target.exporter is Exporter.NONE:
        return None
    exporter = Guarded(_exporter(target, stage, service), log)
    return Tracing(exporter=exporter, ratio=ratio, headers=target.exporter is Exporter.XRAY)


@cache
def _exporter(target: TraceTarget, stage: str, service: str) -> SpanExporter:
    resource: dict[str, Attribute] = {
        "service.name": "pushlane",
        "service.instance.id": service,
        "deployment.environment.name": stage,
    }
    match target.exporter:
        case Exporter.FILE:
            from pushlane.telemetry.file_export import FileExporter

            return FileExporter(Path(target.place), resource)
        case Exporter.OTLP:
            exporter: SpanExporter = import_module(OTLP_MODULE).OtlpExporter(target.place, resource)
            return exporter
        case _:
            from pushlane.aws.xray import XRayExporter
            from pushlane.wiring import clients

            return XRayExporter(clients.xray)
