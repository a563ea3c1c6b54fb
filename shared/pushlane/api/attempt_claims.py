"""Large values of attempts outside Lambda: they have no right to the bucket, and pass them through the API."""

import hashlib
import re
from typing import Final

import msgspec

from pushlane.api.operations import JSON, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, invalid, unknown
from pushlane.api.reservation import proven
from pushlane.model.claim_check import claim_key, claim_prefix

# A Lambda function takes and answers 6 MB at most.
CLAIM_BYTES_MAX: Final = 4 * 1024 * 1024
_CLAIM_NAME: Final = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}\.json")


def put_claim(ports: ApiPorts, request: Request) -> Response:
    """Keep a large value among the tenant's claims, under the name that its content gives it."""
    key, body = _claim_key(ports, request), request.raw_body
    said = proven(ports, request)
    if claim_key(said.claims.tenant_id, hashlib.sha256(body).hexdigest()) != key:
        raise invalid("$", "the path names another content: its last segment is made of the body's SHA-256")
    ports.blobs.put(key, body)
    return Response(status=204)


def get_claim(ports: ApiPorts, request: Request) -> Response:
    """Read a large value of the task's tenant."""
    try:
        body = ports.blobs.get(_claim_key(ports, request))
    except KeyError as error:
        raise unknown("claim") from error
    if len(body) > CLAIM_BYTES_MAX:
        raise Problem(
            413, "too-large", f"{len(body)} bytes: over HTTP values of {CLAIM_BYTES_MAX} bytes are read at most"
        )
    return Response(body=msgspec.Raw(body), content_type=JSON)


def _claim_key(ports: ApiPorts, request: Request) -> str:
    said = proven(ports, request)
    if not _CLAIM_NAME.fullmatch(request.path["name"]):
        raise unknown("claim")
    return claim_prefix(said.claims.tenant_id) + request.path["name"]
