"""A span: a stretch of time in which something happened to a task, as traces show it.

It says who and what, and never what a task is about: no payload, result, label or message of an error is in it.
"""

from enum import StrEnum

from msgspec import Struct

Attribute = str | int | float | bool


class SpanKind(StrEnum):
    """OpenTelemetry's kinds."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class SpanStatus(StrEnum):
    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


class SpanLink(Struct, frozen=True):
    """Another span that this one has to do with, and that is not its parent. `sampled`: that one is exported too."""

    trace_id: str
    span_id: str
    sampled: bool = True


class Span(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`trace_id` has 32 hex digits, `span_id` and `parent_id` 16. Times are Unix milliseconds; `end_ms` None: it goes
    on. Ids follow from what the span is about, so whoever tells of it again tells of the same span.
    """

    trace_id: str
    span_id: str
    name: str
    start_ms: int
    end_ms: int | None
    parent_id: str | None = None
    kind: SpanKind = SpanKind.INTERNAL
    attributes: dict[str, Attribute] = {}
    links: tuple[SpanLink, ...] = ()
    status: SpanStatus = SpanStatus.UNSET
