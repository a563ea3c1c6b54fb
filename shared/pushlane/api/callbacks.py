"""A tenant's completion callbacks: their default place, and the secret that they are signed under."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from pushlane.api.access import active_tenant_of, tenant_of
from pushlane.api.operations import OPERATORS, Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import conflict, of_event
from pushlane.model.callback import (
    OVERLAP_SECONDS,
    OVERLAP_SECONDS_MAX,
    Callback,
    CallbackSettings,
    callback_secret,
    require_url,
)
from pushlane.model.derived_secrets import secret_text
from pushlane.model.errors import InvalidEvent, InvalidToken
from pushlane.model.keyring import KeyRing
from pushlane.state.callbacks import CallbacksMoved, callback_settings, rotate_secret, set_default

_TAG: Final = "callbacks"


class CallbacksView(Struct, frozen=True, kw_only=True):
    """A tenant's callbacks. `secret`: what receivers verify with, as Standard Webhooks writes it; null before the first
    settings, and when its key has left the installation's ring: then rotate. `previous_until_ms`: until then (Unix
    milliseconds) the secret before signs along; null when it does not.
    """

    tenant_id: str
    default: Callback | None
    secret: str | None
    generation: int
    previous_until_ms: int | None


class SecretRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the secret until now signs along."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS


def view_of(ring: KeyRing, tenant_id: str, settings: CallbackSettings | None, now_ms: int) -> CallbacksView:
    """The settings as their tenant sees them."""
    if settings is None:
        return CallbacksView(tenant_id=tenant_id, default=None, secret=None, generation=0, previous_until_ms=None)
    overlaps = settings.previous is not None and now_ms < settings.previous_until_ms
    return CallbacksView(
        tenant_id=tenant_id,
        default=settings.default,
        secret=_secret(ring, settings),
        generation=settings.secret.number,
        previous_until_ms=settings.previous_until_ms if overlaps else None,
    )


def show(ports: ApiPorts, request: Request) -> Response:
    """What is set."""
    tenant_id = tenant_of(request)
    return _answered(ports, request, tenant_id, callback_settings(ports.store, tenant_id))


def set_(ports: ApiPorts, request: Request) -> Response:
    """Set the default place."""
    tenant_id, default = active_tenant_of(ports, request), request.body
    try:
        require_url(default.url, ports.targets, "$.url")
    except InvalidEvent as error:
        raise of_event(error) from error
    return _changed(ports, request, tenant_id, default)


def remove(ports: ApiPorts, request: Request) -> Response:
    """Take the default place away; the secret stays, for tasks that name a place of their own."""
    tenant_id = tenant_of(request)
    before = callback_settings(ports.store, tenant_id)
    if before is not None and before.default is not None:
        _changed(ports, request, tenant_id, None)
    return Response(status=204)


def rotate(ports: ApiPorts, request: Request) -> Response:
    """Make the next secret."""
    tenant_id, rotation = active_tenant_of(ports, request), request.body
    kid, _ = ports.router.keyring().signing()
    try:
        made = rotate_secret(ports.store, tenant_id, kid, request.now_ms, rotation.overlap_seconds)
    except CallbacksMoved as error:
        raise conflict("callbacks-moved", str(error)) from error
    return _answered(ports, request, tenant_id, made)


def _changed(ports: ApiPorts, request: Request, tenant_id: str, default: Callback | None) -> Response:
    kid, _ = ports.router.keyring().signing()
    try:
        made = set_default(ports.store, tenant_id, default, kid, request.now_ms)
    except CallbacksMoved as error:
        raise conflict("callbacks-moved", str(error)) from error
    return _answered(ports, request, tenant_id, made)


def _answered(ports: ApiPorts, request: Request, tenant_id: str, settings: CallbackSettings | None) -> Response:
    return Response(body=view_of(ports.router.keyring(), tenant_id, settings, request.now_ms))


def _secret(ring: KeyRing, settings: CallbackSettings) -> str | None:
    try:
        return secret_text(callback_secret(ring, settings.tenant_id, settings.secret))
    except InvalidToken:
        return None


OPERATIONS: Final = (
    Operation(
        operation_id="getCallbacks",
        method="GET",
        path="/v1/callbacks",
        roles=OPERATORS,
        summary="Look at the tenant's callbacks and their secret",
        run=show,
        responses={200: CallbacksView},
        tag=_TAG,
    ),
    Operation(
        operation_id="setCallbacks",
        method="PUT",
        path="/v1/callbacks",
        roles=OPERATORS,
        summary="Set where the ends of the tenant's tasks are told",
        run=set_,
        body=Callback,
        responses={200: CallbacksView},
        problems=frozenset({409}),
        tag=_TAG,
        description="For tasks that name no place of their own, from a second later. The first call makes the secret.",
    ),
    Operation(
        operation_id="removeCallbacks",
        method="DELETE",
        path="/v1/callbacks",
        roles=OPERATORS,
        summary="Tell the ends of tasks nowhere unless a task names a place",
        run=remove,
        responses={204: None},
        problems=frozenset({409}),
        tag=_TAG,
    ),
    Operation(
        operation_id="rotateCallbackSecret",
        method="POST",
        path="/v1/callbacks/rotate",
        roles=OPERATORS,
        summary="Replace the secret that callbacks are signed under",
        run=rotate,
        body=SecretRotation,
        responses={200: CallbacksView},
        problems=frozenset({409}),
        tag=_TAG,
        description="Until the overlap is over, deliveries carry the signatures of both secrets.",
    ),
)
