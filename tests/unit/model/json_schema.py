"""The part of JSON Schema 2020-12 that the generated schemas use. A keyword that it does not know is an error."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
_SAYS_NOTHING = {"$schema", "$defs", "title", "description", "default", "discriminator"}


def accepts(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether `value` is valid under a whole schema document."""
    return _valid(schema, schema, value)


def _valid(root: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> bool:
    return all(_keyword(root, schema, name, said, value) for name, said in schema.items() if name not in _SAYS_NOTHING)


def _keyword(root: Mapping[str, Any], schema: Mapping[str, Any], name: str, said: Any, value: Any) -> bool:
    match name:
        case "$ref":
            return _valid(root, root["$defs"][said.removeprefix("#/$defs/")], value)
        case "type":
            return _TYPES[said](value)
        case "enum":
            return value in said
        case "anyOf":
            return any(_valid(root, one, value) for one in said)
        case "items":
            return not isinstance(value, list) or all(_valid(root, said, one) for one in value)
        case "properties" | "required" | "additionalProperties" | "propertyNames":
            return not isinstance(value, dict) or _object(root, schema, name, said, value)
        case _:
            return _bound(name, said, value)


def _object(root: Mapping[str, Any], schema: Mapping[str, Any], name: str, said: Any, value: dict[str, Any]) -> bool:
    match name:
        case "properties":
            return all(_valid(root, one, value[key]) for key, one in said.items() if key in value)
        case "required":
            return set(said) <= set(value)
        case "propertyNames":
            return all(_valid(root, said, key) for key in value)
        case _:
            more = [one for key, one in value.items() if key not in schema.get("properties", {})]
            return not more if said is False else all(_valid(root, said, one) for one in more)


def _bound(name: str, said: Any, value: Any) -> bool:
    is_number = _TYPES["number"](value)
    match name:
        case "minimum":
            return not is_number or value >= said
        case "maximum":
            return not is_number or value <= said
        case "exclusiveMinimum":
            return not is_number or value > said
        case "minLength" | "minItems" | "minProperties":
            return not isinstance(value, str | list | dict) or len(value) >= said
        case "maxLength" | "maxItems" | "maxProperties":
            return not isinstance(value, str | list | dict) or len(value) <= said
        case "pattern":
            return not isinstance(value, str) or re.search(said, value) is not None
        case _:
            raise NotImplementedError(f"keyword {name}")
