"""A follow-up: a rule on the facts bus that submits the next task when one has succeeded."""

import json
from collections.abc import Mapping
from typing import Final

from aws_cdk import aws_events as events
from constructs import Construct

from pushlane.cdk.channels import SUBMIT_DETAIL_TYPE
from pushlane.cdk.dispatcher import DispatcherLike

_SUCCEEDED: Final = "TaskSucceeded"
_RETRY_ATTEMPTS: Final = 185
_AGE_SECONDS: Final = 86_400


class FollowUp(Construct):
    """When a task of type `after` with all `labels` succeeds, submit one of type `submit` with its result as payload.

    Tenant, tier and labels are kept. The idempotency key is `<task id>/<submit>`, so a repeated fact submits no second
    task. `depth` is the new task's place in the chain (a transformer cannot count): 1 for the first follow-up.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        dispatcher: DispatcherLike,
        after: str,
        submit: str,
        labels: Mapping[str, str],
        depth: int,
    ) -> None:
        super().__init__(scope, construct_id)
        channels = dispatcher.channels
        events.CfnRule(
            self,
            "Rule",
            description=f"Pushlane: {after} -> {submit}",
            event_bus_name=channels.facts_bus.event_bus_name,
            event_pattern=_pattern(after, labels),
            targets=[
                events.CfnRule.TargetProperty(
                    id="intake",
                    arn=channels.intake_queues[0].queue_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=channels.undelivered.queue_arn),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_event_age_in_seconds=_AGE_SECONDS, maximum_retry_attempts=_RETRY_ATTEMPTS
                    ),
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map=_PATHS, input_template=_template(submit, labels, depth)
                    ),
                )
            ],
        )


_PATHS: Final = {
    "tenant": "$.detail.data.tenant_id",
    "task": "$.detail.data.task_id",
    "tier": "$.detail.data.tier",
    "result": "$.detail.data.result",
}


def _pattern(after: str, labels: Mapping[str, str]) -> dict[str, object]:
    """Requires what the template uses: EventBridge writes broken JSON for a path that is not there."""
    present = [{"exists": True}]
    data: dict[str, object] = {"task_type": [after], "tenant_id": present, "task_id": present, "tier": present}
    data["labels"] = {name: [value] for name, value in labels.items()}
    return {"detail-type": [_SUCCEEDED], "detail": {"data": data}}


def _template(submit: str, labels: Mapping[str, str], depth: int) -> str:
    envelope = {
        "metadata": {"name": SUBMIT_DETAIL_TYPE, "version": 1, "depth": depth},
        "data": {
            "tenant_id": "<tenant>",
            "task_type": submit,
            "tier": "<tier>",
            "payload": "<result>",
            "idempotency_key": f"<task>/{submit}",
            "labels": dict(labels),
        },
    }
    # Only strings may stand in quotes; the result is an object and goes in as JSON.
    return json.dumps(envelope).replace('"<result>"', "<result>")
