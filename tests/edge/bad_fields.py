"""Submissions with one wrong field: by name, what to change and the field that the refusal has to name."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

# Delimiters of our own keys, of paths, of queries and of logs; lengths; look-alikes.
_NOT_IDS: Final[Mapping[str, Any]] = {
    "empty": "",
    "hash": "a#b",
    "slash": "a/b",
    "parent folder": "../b",
    "backslash": "a\\b",
    "colon": "a:b",
    "at": "@default/agent",
    "blank": "a b",
    "line break": "a\nb",
    "line break at the end": "ab\n",
    "NUL": "a\x00b",
    "percent": "a%23b",
    "quote": 'a"b',
    "leading point": ".ab",
    "leading dash": "-ab",
    "umlaut": "Z\u00fcrich",
    "full-width": "\uff41\uff42",
    "emoji": "\U0001f600",
    "65 characters": "x" * 65,
    "10,000 characters": "x" * 10_000,
    "a number": 7,
    "null": None,
    "a list": ["a"],
    "an object": {"a": 1},
}
# Where an id stands: how a value gets there, and what the refusal calls the place.
_ID_FIELDS: Final[Mapping[str, str]] = {"task_type": "task_type", "pool": "pool"}


class Wrong(Struct, frozen=True):
    """One field changed. `field`: the part of the path that the refusal has to name."""

    name: str
    change: Mapping[str, Any]
    field: str


def wrong_fields() -> Iterator[Wrong]:
    """Every one of them; each alone makes a submission wrong."""
    for field in _ID_FIELDS:
        for name, value in _NOT_IDS.items():
            yield Wrong(f"{field}: {name}", {field: value}, field)
    for name, value in _NOT_IDS.items():
        if name != "null":
            yield Wrong(f"capabilities: {name}", {"capabilities": ["cpu", value]}, "capabilities")
        if isinstance(value, str):
            yield Wrong(f"label's name: {name}", {"labels": {value: "x"}}, "labels")
            yield Wrong(f"resource's name: {name}", {"resources": {value: 1}}, "resources")
    yield from _others()


def _others() -> Iterator[Wrong]:
    for name, change in _OTHERS.items():
        field = next(iter(change))
        yield Wrong(name, change, field)


_OTHERS: Final[Mapping[str, dict[str, Any]]] = {
    "unknown field": {"priority": 7},
    "field in another case": {"Tier": "low"},
    "tier unknown": {"tier": "utmost"},
    "tier in capitals": {"tier": "LOW"},
    "tier a number": {"tier": 1},
    "payload a list": {"payload": [1]},
    "payload a string": {"payload": "x"},
    "payload null": {"payload": None},
    "no capability": {"capabilities": []},
    "capabilities a string": {"capabilities": "cpu"},
    "11 capabilities": {"capabilities": [f"c{n}" for n in range(11)]},
    "deadline negative": {"deadline_ms": -1},
    "deadline a fraction": {"deadline_ms": 1.5},
    "deadline a string": {"deadline_ms": "1700000000000"},
    "deadline beyond 2**52": {"deadline_ms": 2**52 + 1},
    "deadline in microseconds": {"deadline_ms": 1_800_000_000_000_000},
    "deadline kind unknown": {"deadline_kind": "strict"},
    "penalty unknown": {"penalty": "cubic"},
    "estimate of no time": {"estimate": {"runtime_seconds": 0}},
    "estimate below zero": {"estimate": {"runtime_seconds": -1}},
    "estimate of more than a day": {"estimate": {"runtime_seconds": 86_401}},
    "estimate with an unknown field": {"estimate": {"hours": 1}},
    "tokens below zero": {"estimate": {"tokens": -1}},
    "tokens a fraction": {"estimate": {"tokens": 0.5}},
    "tokens beyond the bound": {"estimate": {"tokens": 100_000_001}},
    "no attempt": {"retry": {"max_attempts": 0}},
    "11 attempts": {"retry": {"max_attempts": 11}},
    "no back-off": {"retry": {"backoff_seconds": 0}},
    "back-off beyond its bound": {"retry": {"backoff_seconds": 901}},
    "longest back-off below the first": {"retry": {"backoff_seconds": 10, "backoff_max_seconds": 1}},
    "retry in a pool that is none": {"retry": {"other_pool": "a#b"}},
    "retries exhausted: unknown": {"retry": {"exhausted": "explode"}},
    "resource of zero": {"resources": {"tpm": 0}},
    "resource below zero": {"resources": {"tpm": -5}},
    "resource a string": {"resources": {"tpm": "5"}},
    "resource beyond the bound": {"resources": {"tpm": 10**9 + 1}},
    "six resources": {"resources": {f"r{n}": 1 for n in range(6)}},
    "resource unknown to the policy": {"resources": {"unheard-of": 1}},
    "11 labels": {"labels": {f"l{n}": "x" for n in range(11)}},
    "label of 129 characters": {"labels": {"l": "x" * 129}},
    "label a number": {"labels": {"l": 1}},
    "key empty": {"idempotency_key": ""},
    "key with a blank": {"idempotency_key": "a b"},
    "key with an umlaut": {"idempotency_key": "\u00e4"},
    "key with a line break": {"idempotency_key": "a\n"},
    "key of 129 characters": {"idempotency_key": "k" * 129},
    "key a number": {"idempotency_key": 1},
    "parent that is no id": {"parent": {"task_id": "a#b"}},
    "parent without an id": {"parent": {}},
    "parent with an unknown field": {"parent": {"task_id": "t-1", "x": 1}},
    "claim check of another tenant": {
        "payload": {"$claim_check": {"key": "claims/birch/" + "0" * 64, "bytes": 9, "sha256": "0" * 64}}
    },
    "claim check without a digest": {"payload": {"$claim_check": {"key": "claims/atlas/x", "bytes": 9}}},
    "claim check that climbs": {
        "payload": {"$claim_check": {"key": "claims/atlas/../birch/x", "bytes": 9, "sha256": "0" * 64}}
    },
}
