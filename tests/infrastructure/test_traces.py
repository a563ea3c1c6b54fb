"""Where functions export spans to: as the stage and the flag `traces` say, with what that takes and no more."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pushlane.settings.functions import LifecycleSettings
from pushlane.settings.stage import STAGES, Stage, StageConfig
from tests.infrastructure.templates import Templates
from tests.infrastructure.test_functions import AGENTS, function, rights

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

TRACED = ("RouterFunction", "LifecycleFunction", *AGENTS)
OTLP = "otlp:http://collector.example:4318/v1/traces"


def variables(templates: Templates, name: str) -> dict[str, str]:
    found: dict[str, str] = function(templates, name).properties["Environment"]["Variables"]
    return found


@pytest.mark.parametrize("name", TRACED)
def test_production_traces_a_share_to_x_ray_and_may(prod: Templates, name: str) -> None:
    said = variables(prod, name)
    assert (said["PUSHLANE_TRACES"], said["PUSHLANE_TRACES_RATIO"]) == ("xray", "0.05")
    assert ("xray:PutTraceSegments", "*") in rights(prod, name)


@pytest.mark.parametrize("name", TRACED)
def test_an_emulator_has_no_tracer_unless_it_is_asked_for(local: Templates, name: str) -> None:
    assert variables(local, name)["PUSHLANE_TRACES"] == "none"
    assert not [action for action, _ in rights(local, name) if action.startswith("xray:")]


class Traced:
    """A lifecycle function alone, deployed with a flag."""

    def __init__(self, folder: Path, config: StageConfig) -> None:
        import aws_cdk as cdk

        from pushlane.cdk.bundling import Sources
        from pushlane.cdk.python_function import PythonFunction

        texts: dict[str, Any] = {field.name: "x" for field in dataclasses.fields(LifecycleSettings)}
        settings = LifecycleSettings(**(texts | {"traces": config.traces, "traces_ratio": config.traces_ratio}))
        app = cdk.App(context={"vendor": False, "build_dir": str(folder / "build")}, outdir=str(folder / "out"))
        made = PythonFunction(
            cdk.Stack(app, "Alone"),
            "Lifecycle",
            entry="lambdas.lifecycle.handler",
            sources=Sources.of_pushlane(),
            settings=settings,
            config=config,
            timeout_seconds=10,
            memory_mb=256,
            traced=True,
        )
        self.third_party = made.bundle.closure.third_party
        with zipfile.ZipFile(made.bundle.archive) as opened:
            self.names = opened.namelist()
        app.synth()
        template = json.loads((folder / "out" / "Alone.template.json").read_text())
        self.actions = json.dumps(template)


def config(**changed: Any) -> StageConfig:
    return dataclasses.replace(STAGES[Stage.LOCAL], **changed)


def test_x_ray_is_allowed_where_active_tracing_does_not_bring_it(tmp_path: Path) -> None:
    assert '"xray:PutTraceSegments"' in Traced(tmp_path, config(traces="xray")).actions


def test_only_what_exports_over_otlp_is_bundled_with_the_opentelemetry_sdk(tmp_path: Path) -> None:
    without = Traced(tmp_path / "without", config(traces="file:/tmp/spans.jsonl"))
    assert "opentelemetry" not in without.third_party
    assert "pushlane/telemetry/otlp.py" not in without.names
    assert "xray" not in without.actions
    with_it = Traced(tmp_path / "with", config(traces=OTLP))
    assert "opentelemetry" in with_it.third_party
    assert "pushlane/telemetry/otlp.py" in with_it.names


def test_the_sdk_and_all_that_it_needs_is_pinned() -> None:
    from pushlane.cdk.bundling import AWS_TARGET, pinned_requirements

    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    names = {pin.name for pin in pinned_requirements({"opentelemetry"}, AWS_TARGET, lock)}
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "protobuf", "requests"} <= names


@pytest.mark.parametrize(
    ("context", "traces", "ratio"),
    [
        ({}, "none", 1.0),
        ({"traces": OTLP, "traces_ratio": "0.5"}, OTLP, 0.5),
        ({"stage": "dev"}, "xray", 1.0),
        ({"stage": "prod", "traces": "none"}, "none", 0.05),
    ],
)
def test_the_flags_choose_the_tracer_and_the_share(context: dict[str, Any], traces: str, ratio: float) -> None:
    import aws_cdk as cdk

    from pushlane.cdk.stage import config_of_context

    found = config_of_context(cdk.App(context=context))
    assert (found.traces, found.traces_ratio) == (traces, ratio)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"traces": "jaeger"}, "otlp:URL"),
        ({"traces": "file:spans.jsonl"}, "absolute path"),
        ({"traces_ratio": "2"}, "from 0 to 1"),
        ({"traces_ratio": "all"}, "from 0 to 1"),
    ],
)
def test_a_tracer_that_is_none_is_refused_at_synthesis(context: dict[str, Any], said: str) -> None:
    import aws_cdk as cdk

    from pushlane.cdk.stage import config_of_context

    with pytest.raises(ValueError, match=said):
        config_of_context(cdk.App(context=context))
