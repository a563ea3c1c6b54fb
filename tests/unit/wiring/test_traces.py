"""How functions are wired to trace: where to, never failing for it, and at no cost where nobody looks."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pushlane.model.errors import InvalidSetting
from pushlane.model.span import Span
from pushlane.settings.environment import environment, load
from pushlane.settings.traces import OTLP_MODULE, TraceSettings, trace_target
from pushlane.wiring.traces import Guarded, tracing_of

ROOT = Path(__file__).resolve().parents[3]
SPAN = Span(trace_id="ab" * 16, span_id="cd" * 8, name="run", start_ms=1, end_ms=2)


def no_log(_event: str, **_fields: Any) -> None:
    """Nobody reads it."""


def test_without_an_exporter_a_function_does_not_trace() -> None:
    assert tracing_of(TraceSettings(), "local", "router", no_log) is None


def test_spans_go_to_the_file_that_the_setting_names(tmp_path: Path) -> None:
    settings = TraceSettings(traces=f"file:{tmp_path}/spans.jsonl", traces_ratio=0.5)
    tracing = tracing_of(settings, "local", "router", no_log)
    assert tracing is not None
    assert (tracing.ratio, tracing.headers) == (0.5, False)
    tracing.exporter.export([SPAN])
    said = json.loads((tmp_path / "spans.jsonl").read_text())["resourceSpans"][0]["resource"]["attributes"]
    assert {one["key"]: one["value"]["stringValue"] for one in said}["service.instance.id"] == "router"


def test_x_ray_makes_its_client_when_there_is_something_to_export_and_messages_carry_its_header() -> None:
    tracing = tracing_of(TraceSettings(traces="xray"), "prod", "router", no_log)
    assert tracing is not None
    assert tracing.headers


def test_the_setting_survives_the_environment() -> None:
    settings = TraceSettings(traces="otlp:http://collector:4318/v1/traces", traces_ratio=0.05)
    assert load(TraceSettings, environment(settings)) == settings
    assert load(TraceSettings, {}) == TraceSettings()
    with pytest.raises(InvalidSetting, match="PUSHLANE_TRACES_RATIO"):
        load(TraceSettings, {"PUSHLANE_TRACES_RATIO": "half"})


@pytest.mark.parametrize(
    "said", ["zipkin", "file:", "file:spans.jsonl", "otlp:", "otlp:collector:4318", "xray:here", ""]
)
def test_a_target_that_is_none_says_what_can_be_said(said: str) -> None:
    with pytest.raises(ValueError, match=r"none|file:|otlp:|xray"):
        trace_target(said)


def test_a_share_that_is_none_is_refused_at_start() -> None:
    with pytest.raises(InvalidSetting, match="from 0 to 1"):
        tracing_of(TraceSettings(traces="xray", traces_ratio=1.5), "prod", "router", no_log)


def test_spans_that_are_not_taken_are_logged_and_fail_nothing(tmp_path: Path) -> None:
    logged: list[tuple[str, dict[str, Any]]] = []
    settings = TraceSettings(traces=f"file:{tmp_path}/absent/spans.jsonl")
    tracing = tracing_of(settings, "local", "other", lambda event, **fields: logged.append((event, fields)))
    assert tracing is not None
    assert isinstance(tracing.exporter, Guarded)
    tracing.exporter.export([SPAN])
    ((event, fields),) = logged
    assert (event, fields["spans"]) == ("spans-lost", 1)


def test_no_function_imports_opentelemetry_or_an_exporter_unless_it_is_configured() -> None:
    handlers = [f"lambdas.{one}.handler" for one in ("router", "lifecycle", "sweep", "api")]
    script = (
        f"import sys, importlib\nfor name in {[*handlers, 'pushlane.wiring.agents']!r}: importlib.import_module(name)\n"
        "from pushlane.settings.traces import TraceSettings\nfrom pushlane.wiring.traces import tracing_of\n"
        "assert tracing_of(TraceSettings(), 'local', 'router', print) is None\n"
        "heavy = ('opentelemetry', 'pushlane.telemetry.otlp', 'pushlane.telemetry.file_export', 'pushlane.aws.xray')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/shared:{ROOT}"},
    )
    assert ran.stdout.strip() == "[]"


def test_only_its_name_leads_to_the_exporter_over_otlp() -> None:
    """An import statement would bring the OpenTelemetry SDK into every bundle."""
    said = [
        path for path in (ROOT / "shared" / "pushlane").rglob("*.py") if "telemetry.otlp import" in path.read_text()
    ]
    assert said == []
    assert find_spec(OTLP_MODULE) is not None
