"""Inbound webhooks: a provider's signed delivery becomes a task of the hook's tenant. And the hooks themselves."""

from typing import Final

import msgspec
from msgspec import Struct

from pushlane.api.access import active_tenant_of, owned, tenant_of
from pushlane.api.hook_making import (
    HookBody,
    HookRotation,
    HookView,
    document_of,
    make_hook,
    replace_secret,
    view_of,
)
from pushlane.api.hook_template import HookTemplate
from pushlane.api.operations import OPERATORS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, conflict, of_event, unknown
from pushlane.api.strict import read_json
from pushlane.api.submitting import submit_one
from pushlane.model.errors import InvalidEvent
from pushlane.model.hook import BODY_BYTES_MAX, Hook, HookData, HookScheme, HookSecret, delivery_of, secrets_of_hook
from pushlane.model.ids import Identifier
from pushlane.model.keyring import KeyRing
from pushlane.model.webhook_signature import InvalidSignature
from pushlane.state.hooks import HookMoved, TooManyHooks, find_hook, hooks_of, remove_hook

_TAG: Final = "hooks"
_NOBODYS: Final = HookData(name="nobodys", scheme=HookScheme.GITHUB, template={})


class HookList(Struct, frozen=True, kw_only=True):
    """All hooks of a tenant, oldest first; at most 100."""

    hooks: tuple[HookView, ...]


class Delivered(Struct, frozen=True, kw_only=True):
    """What became of a delivery. `task_id`: null for one that the hook's `when` does not want."""

    task_id: Identifier | None


def receive(ports: ApiPorts, request: Request) -> Response:
    """A delivery. Nothing tells an unknown hook from a wrong signature: neither the answer nor what is computed."""
    hook = find_hook(ports.store, request.path["hook_id"])
    delivery_id = _verified(ports, request, hook)
    if hook is None or delivery_id is None or hook.tenant_id not in ports.router.tenants.active():
        raise _refused()
    template = HookTemplate(hook.data)
    document = document_of(read_json(request.raw_body), request.headers)
    if not template.wants(document):
        ports.log("delivery-not-wanted", hook_id=hook.hook_id, tenant_id=hook.tenant_id)
        return Response(status=200, body=Delivered(task_id=None))
    key = template.key(hook.hook_id, delivery_id, document)
    body = msgspec.structs.replace(template.task(document), idempotency_key=key)
    plain = msgspec.structs.replace(request, headers={})  # no header of a provider is an idempotency key or a trace
    answer = submit_one(ports, plain, hook.tenant_id, body)
    return Response(status=answer.status, body=Delivered(task_id=answer.body.task_id))


def make(ports: ApiPorts, request: Request) -> Response:
    """Make a hook, once its sample has become a task."""
    tenant_id, ring = active_tenant_of(ports, request), ports.router.keyring()
    try:
        hook = make_hook(ports.store, ring, tenant_id, request.body, f"hk-{ports.new_id()}", request.now_ms)
    except InvalidEvent as error:
        raise of_event(error) from error
    except TooManyHooks as error:
        raise conflict("too-many-hooks", str(error)) from error
    view = view_of(ring, hook, request.now_ms)
    return Response(status=201, body=view, headers={"location": view.path})


def show(ports: ApiPorts, request: Request) -> Response:
    """One hook."""
    return Response(body=view_of(ports.router.keyring(), _owned(ports, request), request.now_ms))


def show_all(ports: ApiPorts, request: Request) -> Response:
    """The tenant's hooks."""
    ring = ports.router.keyring()
    found = hooks_of(ports.store, tenant_of(request))
    return Response(body=HookList(hooks=tuple(view_of(ring, hook, request.now_ms) for hook in found)))


def remove(ports: ApiPorts, request: Request) -> Response:
    """Remove a hook; what it has submitted stays."""
    remove_hook(ports.store, _owned(ports, request))
    return Response(status=204)


def rotate(ports: ApiPorts, request: Request) -> Response:
    """Give a hook its next secret."""
    hook, rotation, ring = _owned(ports, request), request.body, ports.router.keyring()
    try:
        made = replace_secret(ports.store, ring, hook, rotation, request.now_ms)
    except InvalidEvent as error:
        raise of_event(error) from error
    except HookMoved as error:
        raise conflict("hook-moved", str(error)) from error
    return Response(body=view_of(ring, made, request.now_ms))


def _verified(ports: ApiPorts, request: Request, hook: Hook | None) -> str | None:
    """What the delivery is known by; None when it is not proven."""
    ring = ports.router.keyring()
    asked = hook or _nobodys(request.path["hook_id"], ring)
    secrets = secrets_of_hook(ring, asked, request.now_ms)
    headers, now_seconds = dict(request.headers), request.now_ms // 1_000
    try:
        return delivery_of(asked.data, secrets, headers, request.raw_body, now_seconds)
    except InvalidSignature as error:
        known = {} if hook is None else {"hook_id": hook.hook_id, "tenant_id": hook.tenant_id}
        ports.log("delivery-refused", code=error.code, **known)
        return None


def _nobodys(hook_id: str, ring: KeyRing) -> Hook:
    """What an unknown hook's deliveries are compared with, so that they cost about what a known one's do. Its secret
    is derived from the ring like any, so nobody outside has it.
    """
    secret = HookSecret(number=0, kid=ring.signing()[0])
    return Hook(hook_id=hook_id, tenant_id="", data=_NOBODYS, secret=secret, created_at_ms=0)


def _refused() -> Problem:
    detail = "no such hook, or the delivery's signature or time is not right: check the hook's id, secret and clock"
    return Problem(401, "delivery-refused", detail)


def _owned(ports: ApiPorts, request: Request) -> Hook:
    found = find_hook(ports.store, request.path["hook_id"])
    if found is None:
        raise unknown("hook")
    owned(request, found.tenant_id, "hook")
    return found


OPERATIONS: Final = (
    Operation(
        operation_id="deliverHook",
        method="POST",
        path="/v1/hooks/{hook_id}",
        roles=frozenset(),
        summary="Deliver a webhook, signed as its hook says",
        run=receive,
        responses={200: Delivered, 202: Delivered},
        problems=frozenset({401, 409, 422, 429}),
        public=True,
        opaque=True,
        body_bytes_max=BODY_BYTES_MAX,
        tag=_TAG,
        description="202: it became a task. 200: it had become this task before, or its hook does not want it.",
    ),
    Operation(
        operation_id="makeHook",
        method="POST",
        path="/v1/hooks",
        roles=OPERATORS,
        summary="Make a hook",
        run=make,
        body=HookBody,
        responses={201: HookView},
        problems=frozenset({409}),
        tag=_TAG,
    ),
    Operation(
        operation_id="listHooks",
        method="GET",
        path="/v1/hooks",
        roles=OPERATORS,
        summary="List the tenant's hooks",
        run=show_all,
        responses={200: HookList},
        tag=_TAG,
    ),
    Operation(
        operation_id="getHook",
        method="GET",
        path="/v1/hooks/{hook_id}",
        roles=OPERATORS,
        summary="Look at a hook and its secret",
        run=show,
        responses={200: HookView},
        owns=Owned.HOOK,
        tag=_TAG,
    ),
    Operation(
        operation_id="removeHook",
        method="DELETE",
        path="/v1/hooks/{hook_id}",
        roles=OPERATORS,
        summary="Remove a hook",
        run=remove,
        responses={204: None},
        owns=Owned.HOOK,
        tag=_TAG,
    ),
    Operation(
        operation_id="rotateHookSecret",
        method="POST",
        path="/v1/hooks/{hook_id}/rotate",
        roles=OPERATORS,
        summary="Replace the secret of a hook",
        run=rotate,
        body=HookRotation,
        responses={200: HookView},
        problems=frozenset({409}),
        owns=Owned.HOOK,
        tag=_TAG,
        description="Until the overlap is over, deliveries under either secret are taken.",
    ),
)
