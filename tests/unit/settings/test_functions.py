"""Settings: what CDK writes into a function's environment is what the function reads, and what is wrong is named."""

import dataclasses
from typing import Any

import pytest

from pushlane.model.errors import InvalidSetting
from pushlane.settings.environment import environment, load, variable
from pushlane.settings.functions import (
    AgentSettings,
    LifecycleSettings,
    RegistrySettings,
    RouterSettings,
    StreamerSettings,
    SweepSettings,
)
from pushlane.settings.stage import STAGES, Stage, stage_config

EVERY: list[type] = [
    RouterSettings,
    SweepSettings,
    LifecycleSettings,
    StreamerSettings,
    RegistrySettings,
    AgentSettings,
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixed:
    """Every kind of field that a settings class may have."""

    name: str
    count: int
    flag: bool
    wait_ms: int = 250
    note: str | None = None


def filled(kind: type, *, flag: bool = True) -> Any:
    """Settings with a different value in each field, some of them hard to carry as text."""
    odd = ["", "a b", "${Token[TOKEN.7]}", "true", "é=;"]
    names = [field.name for field in dataclasses.fields(kind)]
    types = {field.name: field.type for field in dataclasses.fields(kind)}
    values: dict[str, object] = {n: f"{n}-{odd[i % 5]}" for i, n in enumerate(names)}
    values |= {n: flag for n in names if types[n] in (bool, "bool")}
    values |= {n: i for i, n in enumerate(names) if types[n] in (int, "int")}
    values |= {n: i / 8 for i, n in enumerate(names) if types[n] in (float, "float")}
    return kind(**values)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("flag", [True, False])
def test_settings_survive_the_environment(kind: type, flag: bool) -> None:
    settings = filled(kind, flag=flag)
    environ = environment(settings)
    assert all(name.startswith("PUSHLANE_") and name.isupper() for name in environ)
    assert load(kind, {**environ, "PATH": "/bin", "PUSHLANE_UNKNOWN": "x"}) == settings


@pytest.mark.parametrize("kind", EVERY)
def test_each_variable_that_is_missing_is_named_with_who_needs_it(kind: type) -> None:
    environ = environment(filled(kind))
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            continue
        name = variable(field.name)
        with pytest.raises(InvalidSetting, match=f"^{name} is not set; {kind.__name__} needs it$"):
            load(kind, {other: value for other, value in environ.items() if other != name})


def test_every_kind_of_field_survives() -> None:
    settings = Mixed(name="n", count=-7, flag=False, wait_ms=1, note="x")
    assert load(Mixed, environment(settings)) == settings
    assert environment(Mixed(name="n", count=1, flag=True)) == {
        "PUSHLANE_NAME": "n",
        "PUSHLANE_COUNT": "1",
        "PUSHLANE_FLAG": "true",
        "PUSHLANE_WAIT_MS": "250",
    }


def test_a_field_with_a_default_may_be_missing() -> None:
    loaded = load(Mixed, {"PUSHLANE_NAME": "n", "PUSHLANE_COUNT": "1", "PUSHLANE_FLAG": "TRUE"})
    assert loaded == Mixed(name="n", count=1, flag=True, wait_ms=250, note=None)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("PUSHLANE_COUNT", "many", "int"),
        ("PUSHLANE_COUNT", "", "int"),
        ("PUSHLANE_COUNT", "1.5", "int"),
        ("PUSHLANE_WAIT_MS", "true", "int"),
        ("PUSHLANE_FLAG", "yes", "bool"),
        ("PUSHLANE_FLAG", "1", "bool"),
        ("PUSHLANE_FLAG", "", "bool"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_its_type(name: str, text: str, kind: str) -> None:
    environ = environment(Mixed(name="n", count=1, flag=True)) | {name: text}
    with pytest.raises(InvalidSetting) as raised:
        load(Mixed, environ)
    assert str(raised.value) == f"{name}={text!r} is not of type {kind}"


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stage_is_found_by_its_name(stage: Stage) -> None:
    assert stage_config(stage.value) is STAGES[stage]
    assert stage_config(stage.value).stage is stage


@pytest.mark.parametrize("name", ["", "Prod", "staging", "local "])
def test_an_unknown_stage_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="local, dev, prod") as raised:
        stage_config(name)
    assert repr(name) in str(raised.value)


def test_only_at_stage_local_are_tenants_believed_and_only_at_prod_is_state_kept() -> None:
    assert {stage for stage, config in STAGES.items() if config.accept_unsigned_tenant} == {Stage.LOCAL}
    assert {stage for stage, config in STAGES.items() if config.retain_state} == {Stage.PROD}


@pytest.mark.parametrize("queues", [0, 3, 5, 12, 32])
def test_intake_queues_that_could_not_share_the_slots_evenly_are_refused(queues: int) -> None:
    with pytest.raises(ValueError, match=f"intake_queues={queues}: choose 1, 2, 4, 8 or 16"):
        dataclasses.replace(STAGES[Stage.LOCAL], intake_queues=queues)
