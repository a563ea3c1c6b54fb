"""Web pages may call the HTTP API of an embedded AWS.

Its CloudFormation keeps an API's CORS configuration under names that its HTTP server does not look for, so that it
answers as if there were none. Said once more through the API's own interface, it is understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_apigatewayv2.type_defs import CorsTypeDef

ANYWHERE: Final = "*"
CORS: Final[CorsTypeDef] = {
    "AllowOrigins": [ANYWHERE],
    "AllowMethods": [ANYWHERE],
    "AllowHeaders": [
        *("authorization", "content-type", "idempotency-key", "if-match", "last-event-id", "pushlane-reservation"),
        *("traceparent", "x-api-key"),
    ],
    "ExposeHeaders": ["etag", "location", "retry-after", "x-request-id"],
    "MaxAge": 600,
}


def let_pages_call(session: Session) -> list[str]:
    """Say the CORS configuration again of every HTTP API that was deployed with one; returns the ids of those."""
    client = session.client("apigatewayv2")
    unread = [
        api["ApiId"]
        for page in client.get_paginator("get_apis").paginate()
        for api in page["Items"]
        if "CorsConfiguration" in api and not api["CorsConfiguration"].get("AllowOrigins")
    ]
    for api_id in unread:
        client.update_api(ApiId=api_id, CorsConfiguration=CORS)
    return unread
