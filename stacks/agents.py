"""The sample agents and the chain that leads a document through them: extract -> summarize -> digest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk import AgentFunction, DispatcherLike, FollowUp, dead_letter_output
from pushlane.settings.stage import Stage

_REPOSITORY: Final = Path(__file__).resolve().parents[1]
MODEL_VARIABLE: Final = "PUSHLANE_SUMMARY_MODEL"
_CHAIN: Final = {"chain": "digest"}


@dataclass(frozen=True, kw_only=True)
class SampleAgent:
    """One agent of `examples/agents/`, capable of the task type of its own name."""

    name: str
    slots: int
    memory_mb: int = 512
    timeout_seconds: int = 60


SAMPLE_AGENTS: Final = (
    SampleAgent(name="extract", slots=4),
    SampleAgent(name="summarize", slots=2, memory_mb=1024),
    SampleAgent(name="digest", slots=2),
)
# Fails, stalls and crashes on demand: for the demonstration and the end-to-end tests, so never on AWS.
CHAOS: Final = SampleAgent(name="chaos", slots=4, timeout_seconds=20)


class AgentsStack(cdk.Stack):
    """Every agent has its own function, queue and rights; they share nothing but the pool."""

    def __init__(self, scope: Construct, construct_id: str, *, dispatcher: DispatcherLike, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        local = dispatcher.config.stage is Stage.LOCAL
        self.agents = [self._agent(dispatcher, one) for one in (*SAMPLE_AGENTS, *([CHAOS] if local else []))]
        FollowUp(
            self,
            "ExtractThenSummarize",
            dispatcher=dispatcher,
            after="extract",
            submit="summarize",
            labels=_CHAIN,
            depth=1,
        )
        FollowUp(
            self,
            "SummarizeThenDigest",
            dispatcher=dispatcher,
            after="summarize",
            submit="digest",
            labels=_CHAIN,
            depth=2,
        )
        dead_letter_output(self)

    def _agent(self, dispatcher: DispatcherLike, sample: SampleAgent) -> AgentFunction:
        model = self.node.try_get_context("summary_model") if sample.name == "summarize" else None
        agent = AgentFunction(
            self,
            sample.name.capitalize(),
            dispatcher=dispatcher,
            agent_id=sample.name,
            entry=f"examples.agents.{sample.name}.handler",
            capabilities=[sample.name],
            slots=sample.slots,
            timeout_seconds=sample.timeout_seconds,
            memory_mb=sample.memory_mb,
            source_root=_REPOSITORY,
            aws_services=("bedrock-runtime",) if model else (),
            variables={MODEL_VARIABLE: model} if model else None,
        )
        if model:
            agent.running.allow("bedrock:InvokeModel", on=[_model_arn(self, model)])
        return agent


def _model_arn(stack: cdk.Stack, model: str) -> str:
    """A foundation model by its id. An inference profile is named by its whole ARN."""
    if model.startswith("arn:"):
        return model
    return stack.format_arn(service="bedrock", account="", resource="foundation-model", resource_name=model)
