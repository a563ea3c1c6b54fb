"""Payloads in, results out: checked conversion between JSON-like mappings and the values of `content`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from examples.agents.documents.content import DocumentInvalid

T = TypeVar("T")


def value_of(payload: object, kind: type[T]) -> T:
    """`payload` as a `kind`; raises DocumentInvalid that names the field, as in `document.text: Expected `str`...`."""
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "payload"
        raise DocumentInvalid(f"{field}: {reason}") from error


def payload_of(value: msgspec.Struct) -> Mapping[str, Any]:
    """`value` as a mapping of JSON types."""
    mapping: Mapping[str, Any] = msgspec.to_builtins(value)
    return mapping
