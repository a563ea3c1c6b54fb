"""The console: a page that reads this API with its viewer's own credential, served beside the operations.

Nothing of an installation is in the page, so it asks for no credential itself. Its files lie in one flat folder and are
known by name: what a path says never becomes a path of the file system.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Final

from msgspec import Struct

from pushlane import console
from pushlane.api.operations import Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import unknown

PAGE: Final = "index.html"
KINDS: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
# Only the page's own files run, and they can talk to the API that served them alone; text never becomes markup.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    # Asked for again each time, by its ETag: files of two versions never meet in one page.
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_IF_NONE_MATCH: Final = "if-none-match"
_TAG: Final = "console"


class Asset(Struct, frozen=True, kw_only=True):
    """One file of the page."""

    text: str
    content_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file of the page by its name, read once a process, and not before somebody opens the console."""
    files = (file for file in sorted(console.FOLDER.iterdir()) if file.suffix in KINDS)
    return {file.name: _asset(file.read_bytes(), KINDS[file.suffix]) for file in files}


def _asset(content: bytes, content_type: str) -> Asset:
    return Asset(text=content.decode(), content_type=content_type, etag=f'"{sha256(content).hexdigest()[:32]}"')


def show_page(_ports: ApiPorts, request: Request) -> Response:
    return _served(assets()[PAGE], request)


def show_file(_ports: ApiPorts, request: Request) -> Response:
    found = assets().get(request.path["file"])
    if found is None:
        raise unknown("file")
    return _served(found, request)


def _served(asset: Asset, request: Request) -> Response:
    headers = {**HEADERS, "etag": asset.etag}
    if _has(request.headers.get(_IF_NONE_MATCH, ""), asset.etag):
        return Response(status=304, headers=headers)
    return Response(body=asset.text, headers=headers, content_type=asset.content_type)


def _has(said: str, etag: str) -> bool:
    """Whether the list of ETags that a browser has names this one; a proxy may have made it a weak one."""
    return said.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in said.split(",")]


OPERATIONS: Final = (
    Operation(
        operation_id="getConsole",
        method="GET",
        path="/console",
        roles=frozenset(),
        public=True,
        summary="The console, a web page.",
        run=show_page,
        responses={200: None, 304: None},
        media={200: "text/html"},
        headers={_IF_NONE_MATCH: "The ETag of what the browser has."},
        tag=_TAG,
    ),
    Operation(
        operation_id="getConsoleFile",
        method="GET",
        path="/console/{file}",
        roles=frozenset(),
        public=True,
        summary="A file of the console's page.",
        run=show_file,
        responses={200: None, 304: None},
        problems=frozenset({404}),
        media={200: "*/*"},
        headers={_IF_NONE_MATCH: "The ETag of what the browser has."},
        tag=_TAG,
    ),
)
