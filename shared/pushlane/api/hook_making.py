"""Making hooks: one is stored only when its sample becomes a task. For the API, and for operators by command."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.api.hook_template import HookTemplate
from pushlane.model.callback import OVERLAP_SECONDS, OVERLAP_SECONDS_MAX
from pushlane.model.errors import InvalidEvent, InvalidToken
from pushlane.model.events import SubmitMetadata, SubmitTask
from pushlane.model.hook import GITHUB_HEADER, Hook, HookData, HookSecret, ProviderSecret, check_hook, secret_as_text
from pushlane.model.keyring import KeyRing
from pushlane.model.task import Door, Source
from pushlane.model.webhook_signature import SIGNATURE_HEADER
from pushlane.ports import ItemStore
from pushlane.router.intake import checked_task
from pushlane.state.hooks import add_hook, rotate_hook

# What a template has no business with.
_KEPT_BACK: Final = frozenset({"authorization", "cookie", "x-api-key", GITHUB_HEADER, SIGNATURE_HEADER})


class Sample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A delivery as the provider sends it, for which the template has to make a task. Header names in lower case."""

    body: dict[str, Any]
    headers: Annotated[dict[str, str], Meta(max_length=50)] = msgspec.field(default_factory=dict)


class HookBody(HookData, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A hook to make. `secret`: that of the provider, where it does not take ours. Nothing is stored whose `sample`
    does not become a task.
    """

    sample: Sample
    secret: ProviderSecret | None = None


class HookRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the secret until now stays good, and the provider's new one where it does not take ours."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS
    secret: ProviderSecret | None = None


class HookView(Struct, frozen=True, kw_only=True):
    """A hook. `secret`: what the provider signs with; null where the provider gave it, or when its key has left the
    installation's ring (rotate it). `path`: where it sends to. Times are Unix milliseconds.
    """

    hook_id: str
    tenant_id: str
    path: str
    created_at_ms: int
    secret: str | None
    previous_until_ms: int | None
    hook: HookData


def make_hook(store: ItemStore, ring: KeyRing, tenant_id: str, said: HookBody, hook_id: str, now_ms: int) -> Hook:
    """Store a hook for the tenant. Raises `InvalidEvent` and the 422 `Problem` naming the field, and `TooManyHooks`."""
    data = HookData(**{name: getattr(said, name) for name in HookData.__struct_fields__})
    hook = Hook(
        hook_id=hook_id,
        tenant_id=tenant_id,
        data=data,
        secret=_next_secret(ring, 1, said.secret),
        created_at_ms=now_ms,
    )
    check_hook(data, said.secret)
    _try(hook, said.sample, now_ms)
    add_hook(store, hook)
    return hook


def replace_secret(store: ItemStore, ring: KeyRing, hook: Hook, rotation: HookRotation, now_ms: int) -> Hook:
    """Give a hook its next secret. Raises `InvalidEvent` naming the field, and `HookMoved`."""
    check_hook(hook.data, rotation.secret)
    secret = _next_secret(ring, hook.secret.number + 1, rotation.secret)
    return rotate_hook(store, hook, secret, now_ms + rotation.overlap_seconds * 1_000)


def document_of(body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """What expressions look into."""
    return {"body": body, "headers": {name: value for name, value in headers.items() if name not in _KEPT_BACK}}


def view_of(ring: KeyRing, hook: Hook, now_ms: int) -> HookView:
    overlaps = hook.previous is not None and now_ms < hook.previous_until_ms
    return HookView(
        hook_id=hook.hook_id,
        tenant_id=hook.tenant_id,
        path=f"/v1/hooks/{hook.hook_id}",
        created_at_ms=hook.created_at_ms,
        secret=_shown(ring, hook),
        previous_until_ms=hook.previous_until_ms if overlaps else None,
        hook=hook.data,
    )


def _shown(ring: KeyRing, hook: Hook) -> str | None:
    if hook.secret.given is not None:
        return None
    try:
        return secret_as_text(ring, hook, hook.secret)
    except InvalidToken:
        return None


def _try(hook: Hook, sample: Sample, now_ms: int) -> None:
    """The whole way of a delivery but for the submission itself."""
    template = HookTemplate(hook.data)
    document = document_of(sample.body, sample.headers)
    if not template.wants(document):
        raise InvalidEvent("$.sample", "`when` does not want it: give a delivery that becomes a task")
    key = template.key(hook.hook_id, "sample", document)
    submission = template.task(document).submission(hook.tenant_id)
    submitted = SubmitTask(metadata=SubmitMetadata(name="SubmitTask", version=1), data=submission)
    try:
        checked_task(submitted, Source(door=Door.HTTP, source_id=key), now_ms)
    except InvalidEvent as error:
        field = error.field.replace("$.data", "$.template", 1)
        raise InvalidEvent(field, error.reason, error.code) from error


def _next_secret(ring: KeyRing, number: int, given: str | None) -> HookSecret:
    if given is not None:
        return HookSecret(number=number, given=given)
    return HookSecret(number=number, kid=ring.signing()[0])
