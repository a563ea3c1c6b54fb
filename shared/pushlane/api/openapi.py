"""The OpenAPI 3.1 document, made of the operations themselves: what is documented is what routes and decodes."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.api.operations import JSON, Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import PROBLEM, ProblemDocument
from pushlane.api.routing import names_of
from pushlane.api.strict import OneOf
from pushlane.model.ids import Identifier
from pushlane.model.principal import Role

VERSION: Final = "1"
_REF: Final = "#/components/schemas/{name}"
_TITLE: Final = "Pushlane"
_ABOUT: Final = (
    "Dispatches AI-agent tasks by push. Every refusal is a problem document (RFC 9457). The tenant is that of the"
    " credential; another tenant's id is answered like one that nobody knows."
)
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a JWT of a registered issuer."},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_TENANT: Final = {
    "name": "tenant",
    "in": "query",
    "required": False,
    "description": "Whom an operator of the installation speaks for; others may say their own alone.",
    "schema": {"$ref": "#/components/schemas/Identifier"},
}


def problem_statuses(operation: Operation) -> frozenset[int]:
    """Every status besides its successes that the operation may answer."""
    found = {422, 503, *operation.problems}
    if not operation.public:
        found |= {401, 403}
    if names_of(operation.path) or not operation.public:
        found.add(404)
    if operation.body is not None or operation.opaque:
        found.add(413)
    return frozenset(found)


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI document of the operations."""
    every = sorted(operations, key=lambda one: (one.path, one.method))
    types = _types(every)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(map(_name, types), schemas, strict=True))
    paths: dict[str, Any] = {}
    for one in every:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schema_of, components)
    for query in {_name(one.query): one.query for one in every if one.query is not None}:
        components.pop(query.rpartition(".")[2], None)
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": VERSION, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": components | {"Identifier": msgspec.json.schema(Identifier)},
            "securitySchemes": _SECURITY,
        },
    }


def served(concerns: Sequence[Operation]) -> Operation:
    """The operation that serves the document of all operations, itself included."""

    def show(_ports: ApiPorts, _request: Request) -> Response:
        return Response(body=made(), headers={"cache-control": "public, max-age=300"})

    @cache
    def made() -> dict[str, Any]:
        return document([*concerns, operation])

    operation = Operation(
        operation_id="getOpenApi",
        method="GET",
        path="/v1/openapi.json",
        roles=frozenset(),
        public=True,
        summary="This document.",
        run=show,
        responses={200: dict[str, Any]},
        tag="api",
    )
    return operation


def _types(operations: Iterable[Operation]) -> list[Any]:
    """Every type that some schema is needed of, each once."""
    found: dict[str, Any] = {_name(ProblemDocument): ProblemDocument}
    for one in operations:
        for kind in (*_parts(one.body), one.query, *(part for said in one.responses.values() for part in _parts(said))):
            if kind is not None:
                found.setdefault(_name(kind), kind)
    return list(found.values())


def _parts(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, OneOf):
        return kind.types
    return kind if isinstance(kind, tuple) else (kind,)


def _name(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else repr(kind)


def _operation(one: Operation, schema_of: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": one.operation_id,
        "summary": one.summary,
        "tags": [one.tag or "api"],
        "parameters": _parameters(one, components),
        "responses": _responses(one, schema_of),
        "security": [] if one.public else [{"bearer": []}, {"key": []}],
    }
    if one.description:
        said["description"] = one.description
    if not one.public:
        said["x-roles"] = sorted(role.value for role in Role if role in one.roles)
    if one.body is not None or one.opaque:
        content = {} if one.opaque else _one_or_any(_parts(one.body), schema_of)
        said["requestBody"] = {"required": True, "content": {JSON: {"schema": content}}}
    return said


def _parameters(one: Operation, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"$ref": "#/components/schemas/Identifier"}}
        for name in names_of(one.path)
    ]
    headers = [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in one.headers.items()
    ]
    tenant = [] if one.public else [_TENANT]
    return path + _query(one.query, components) + headers + tenant


def _query(kind: type[Struct] | None, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    if kind is None:
        return []
    schema = components[kind.__name__]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": one}
        for name, one in schema["properties"].items()
    ]


def _responses(one: Operation, schema_of: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, kind in one.responses.items():
        found[str(status)] = {"description": HTTPStatus(status).phrase}
        # What of a stream would fit a schema differs by event; `docs/streams.md` has them.
        content: dict[str, Any] = {one.media[status]: {"schema": {}}} if status in one.media else {}
        if kind is not None:
            content[JSON] = {"schema": _one_or_any(_parts(kind), schema_of)}
        if content:
            found[str(status)]["content"] = content
    for status in problem_statuses(one):
        found[str(status)] = _problem(status, schema_of)
    return dict(sorted(found.items()))


def _problem(status: int, schema_of: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": schema_of[_name(ProblemDocument)]}},
    }
    if status in (429, 503):
        seconds = {"description": "Seconds after which a repeat makes sense.", "schema": {"type": "integer"}}
        said["headers"] = {"Retry-After": seconds}
    return said


def _one_or_any(kinds: Sequence[Any], schema_of: Mapping[str, Any]) -> Any:
    schemas = [schema_of[_name(kind)] for kind in kinds]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
