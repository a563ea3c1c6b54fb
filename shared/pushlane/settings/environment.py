"""Settings classes <-> environment variables. A field `tasks_table` is the variable `PUSHLANE_TASKS_TABLE`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, cast, get_type_hints

from pushlane.model.errors import InvalidSetting

Settings = TypeVar("Settings")
_PREFIX = "PUSHLANE_"


def variable(field_name: str) -> str:
    """The environment variable that carries a settings field."""
    return _PREFIX + field_name.upper()


def load(settings_type: type[Settings], environ: Mapping[str, str]) -> Settings:
    """Read a frozen dataclass of settings from the environment; raises `InvalidSetting` naming the variable."""
    hints = get_type_hints(settings_type)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, settings_type)):
        name = variable(field.name)
        if name in environ:
            values[field.name] = _convert(environ[name], hints[field.name], name)
        elif field.default is dataclasses.MISSING:
            raise InvalidSetting(f"{name} is not set; {settings_type.__name__} needs it")
    return settings_type(**values)


def environment(settings: object) -> dict[str, str]:
    """The environment variables that `load` reads back into an equal value (CDK tokens pass through as text)."""
    pairs = {field.name: getattr(settings, field.name) for field in dataclasses.fields(cast(Any, settings))}
    return {variable(name): _text(value) for name, value in pairs.items() if value is not None}


def _convert(text: str, hint: Any, name: str) -> Any:
    try:
        if hint is bool:
            return {"true": True, "false": False}[text.lower()]
        return hint(text) if hint in (int, float) else text
    except (KeyError, ValueError) as error:
        raise InvalidSetting(f"{name}={text!r} is not of type {hint.__name__}") from error


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
