"""Spans to a file: a line of OTLP's JSON a batch, as OpenTelemetry's own file exporter writes it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pushlane.model.span import Attribute, Span
from pushlane.ports import SpansNotExported
from pushlane.telemetry.otlp_json import document


class FileExporter:
    """Appends to `path`; its folder has to be there. Several processes may write to the same file."""

    def __init__(self, path: Path, resource: Mapping[str, Attribute]) -> None:
        self._path = path
        self._resource = dict(resource)

    def export(self, spans: Sequence[Span]) -> None:
        """See `SpanExporter.export`."""
        line = msgspec.json.encode(document(spans, self._resource)) + b"\n"
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(file, line)  # one write, so that lines of several processes do not mix
            finally:
                os.close(file)
        except OSError as error:
            raise SpansNotExported(f"{self._path}: {error}; choose a path that the function may write") from error
