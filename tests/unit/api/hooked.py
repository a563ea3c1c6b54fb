"""Hooks made over the API, and deliveries to them signed as a provider would."""

import hashlib
import hmac
import json
from typing import Any, Final

from pushlane.model.webhook_signature import secret_of, signature_headers
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi

TEMPLATE: Final[dict[str, Any]] = {
    "task_type": "review",
    "tier": {"$": "body.labels[?@ == 'urgent'] | [0] && 'high'"},
    "payload": {"repo": {"$": "body.repository.name"}, "author": {"$": "body.author"}, "fixed": [1, {"$": "body.n"}]},
    "labels": {"event": {"$": 'headers."x-event"'}},
}
SAMPLE: Final[dict[str, Any]] = {
    "body": {"repository": {"name": "r"}, "n": 7, "labels": []},
    "headers": {"x-event": "push"},
}


class Hooks:
    """An API with two tenants, and an agent that can do what the template asks for."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "borea"))
        self.dispatcher.register(None, agent_id="one", slots=5, capabilities=("review",))
        self.api = InMemoryApi(self.dispatcher)

    def make(self, tenant_id: str = "atlas", **changed: Any) -> Answer:
        said = {"name": "reviews", "scheme": "standard-webhooks", "template": TEMPLATE, "sample": SAMPLE}
        body = {name: value for name, value in (said | changed).items() if value is not None}
        return self.api.call("POST", "/v1/hooks", principal=self.api.operator(tenant_id), body=body)

    @property
    def now_seconds(self) -> int:
        return self.dispatcher.clock.now_ms() // 1_000

    def deliver(self, hook: dict[str, Any], body: Any, message_id: str = "m1", **headers: str) -> Answer:
        """A delivery of the scheme `standard-webhooks`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = signature_headers([secret_of(hook["secret"])], message_id, self.now_seconds, raw)
        return self.api.call("POST", hook["path"], raw_body=raw, headers={"x-event": "push", **signed, **headers})

    def payload(self, task_id: str) -> Any:
        stored = self.dispatcher.task(task_id)
        assert stored is not None
        return json.loads(str(stored["body"]))


def github(secret: str, raw: bytes) -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}
