"""A Lambda function from a Python module: bundled without Docker, with its own role and its own log group."""

import platform
import sys
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from pushlane.cdk.bundling import Bundle, Sources, build_bundle
from pushlane.cdk.producers import STAGE_TAG
from pushlane.cdk.stage import bundle_plan
from pushlane.settings.environment import environment
from pushlane.settings.stage import Stage, StageConfig
from pushlane.settings.traces import NO_TRACES, OTLP_MODULE, Exporter, trace_target

_RETENTION: Final = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


class PythonFunction(Construct):
    """`entry` is the module that holds `handler`; `settings` is the dataclass its environment is filled from.

    The bundle holds the modules that the entry can import and, with the context flag `vendor`, the locked distributions
    they need; botocore keeps only the data of `aws_services`. `include` names modules imported by computed names.
    `failed_calls` takes what an asynchronous call could not do; whoever is called so needs it. `function_name`: only
    where rights go by the name. `traced`: it exports spans to where the stage says, so it needs what that takes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        entry: str,
        settings: object,
        config: StageConfig,
        timeout_seconds: int,
        memory_mb: int,
        handler: str = "handler",
        aws_services: tuple[str, ...] = (),
        sources: Sources | None = None,
        include: tuple[str, ...] = (),
        retry_attempts: int | None = None,
        failed_calls: sqs.IQueue | None = None,
        function_name: str | None = None,
        traced: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        plan = bundle_plan(self, config)
        own_sources = sources or Sources.of_app(plan.build_folder.parent)
        self.timeout_seconds = timeout_seconds
        target = trace_target(config.traces if traced else NO_TRACES).exporter
        services = (*aws_services, "xray") if target is Exporter.XRAY else aws_services
        modules = (*include, OTLP_MODULE) if target is Exporter.OTLP else include
        self.bundle: Bundle = build_bundle(entry, own_sources, services, plan, modules)
        # By it the doors know roles of the installation.
        cdk.Tags.of(self).add(STAGE_TAG, config.stage.value)
        self.log_group = log_group(self, config)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_asset(str(self.bundle.archive)),
            handler=f"{entry}.{handler}",
            function_name=function_name,
            role=self.role,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # The platform's lines about calls that went well would be most of the logs; the metrics say the same.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            environment={**environment(settings), **_powertools(entry, config.stage)},
            timeout=cdk.Duration.seconds(timeout_seconds),
            memory_size=memory_mb,
            tracing=lambda_.Tracing.ACTIVE if config.tracing else lambda_.Tracing.DISABLED,
            retry_attempts=retry_attempts,
            on_failure=destinations.SqsDestination(failed_calls) if failed_calls else None,
            **_platform(config),
        )
        if target is Exporter.XRAY and not config.tracing:  # active tracing has brought the right
            self.allow("xray:PutTraceSegments", on=["*"])

    def allow(self, *actions: str, on: list[str]) -> None:
        """Grant exactly these actions on exactly these resources (ARNs) to the function's own role."""
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=on))


def log_group(scope: Construct, config: StageConfig) -> logs.LogGroup:
    """A log group in `scope` that keeps its lines as long as the stage says."""
    retention = _RETENTION[config.log_retention_days]
    return logs.LogGroup(scope, "Logs", retention=retention, removal_policy=cdk.RemovalPolicy.DESTROY)


def _powertools(entry: str, stage: Stage) -> dict[str, str]:
    """Where nobody pays for lines the routine ones are written too; an emulator waits for a line of each invocation."""
    service = entry.removesuffix(".handler").rpartition(".")[2]
    level = "DEBUG" if stage is Stage.LOCAL else "INFO"
    return {"POWERTOOLS_SERVICE_NAME": service, "POWERTOOLS_LOG_LEVEL": level}


def _platform(config: StageConfig) -> dict[str, Any]:
    """Graviton and Python 3.13 on AWS; an emulator runs the bundle on this machine, so it is labelled as that."""
    if not config.host_platform:
        return {"architecture": lambda_.Architecture.ARM_64, "runtime": lambda_.Runtime.PYTHON_3_13}
    arm = platform.machine() in {"aarch64", "arm64"}
    return {
        "architecture": lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64,
        "runtime": lambda_.Runtime(f"python3.{sys.version_info.minor}", lambda_.RuntimeFamily.PYTHON),
    }
