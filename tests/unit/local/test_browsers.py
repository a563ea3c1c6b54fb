"""CORS of a local HTTP API is said again where the emulator does not read what CloudFormation said."""

from types import SimpleNamespace
from typing import Any, cast

from pushlane.local.browsers import ANYWHERE, let_pages_call


class Apis:
    """API Gateway with these APIs, in pages of one."""

    def __init__(self, *apis: dict[str, Any]) -> None:
        self._apis = apis
        self.updated: dict[str, Any] = {}

    def get_paginator(self, name: str) -> "Apis":
        assert name == "get_apis"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"Items": [api]} for api in self._apis]

    def update_api(self, **said: Any) -> None:
        self.updated[said["ApiId"]] = said["CorsConfiguration"]


def told(apis: Apis) -> list[str]:
    return let_pages_call(cast(Any, SimpleNamespace(client=lambda name: {"apigatewayv2": apis}[name])))


def test_only_a_configuration_that_is_not_read_is_said_again() -> None:
    read = {"ApiId": "read", "CorsConfiguration": {"AllowOrigins": ["https://app.example.com"]}}
    apis = Apis({"ApiId": "none"}, {"ApiId": "unread", "CorsConfiguration": {}}, read)
    assert told(apis) == ["unread"]
    assert apis.updated.keys() == {"unread"}
    assert apis.updated["unread"]["AllowOrigins"] == [ANYWHERE]
    assert "last-event-id" in apis.updated["unread"]["AllowHeaders"]


def test_without_apis_nothing_is_said() -> None:
    assert told(Apis()) == []
