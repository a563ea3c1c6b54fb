"""What differs between stages. The stage is chosen once, by the CDK context value `stage`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pushlane.model.ids import INTAKE_SLOTS
from pushlane.settings.traces import NO_TRACES, Exporter, check_ratio, trace_target


class Stage(StrEnum):
    LOCAL = "local"
    DEV = "dev"
    PROD = "prod"


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """`intake_queues` must divide the intake slots, so that every queue serves as many of them.

    `retain_state`: `cdk destroy` keeps tables and bucket. `accept_unsigned_tenant`: the doors believe the
    `tenant_id` in the body; off outside `local` unless the deployer says that only trusted principals reach the doors.
    `alarms`: dead-letter queues raise alarms; an emulator has no metrics to raise them by.
    `event_log`: what happens to a task is also written to its log. The emulator's one thread for all event sources
    makes every task's pickup pay for it, so there it is off unless asked for (`-c event_log=true`).
    `traces`: where functions export spans to, and `traces_ratio`: of which share of the traces
    (`pushlane.settings.traces`). `tracing`: AWS itself traces the functions' calls.
    `api`: HTTP and WebSocket API are deployed, which not every local backend has; `iam_api`: also the HTTP API for
    callers that sign with AWS credentials.
    """

    stage: Stage
    retain_state: bool
    accept_unsigned_tenant: bool
    intake_queues: int
    log_retention_days: int
    tracing: bool
    point_in_time_recovery: bool
    host_platform: bool
    alarms: bool
    event_log: bool
    api: bool
    iam_api: bool
    traces: str = NO_TRACES
    traces_ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.intake_queues < 1 or INTAKE_SLOTS % self.intake_queues:
            raise ValueError(f"intake_queues={self.intake_queues}: choose 1, 2, 4, 8 or {INTAKE_SLOTS}")
        trace_target(self.traces)
        check_ratio(self.traces_ratio)


STAGES: Final = {
    Stage.LOCAL: StageConfig(
        stage=Stage.LOCAL,
        retain_state=False,
        accept_unsigned_tenant=True,
        intake_queues=2,
        log_retention_days=1,
        tracing=False,
        point_in_time_recovery=False,
        host_platform=True,
        alarms=False,
        event_log=False,
        api=False,
        iam_api=False,
    ),
    Stage.DEV: StageConfig(
        stage=Stage.DEV,
        retain_state=False,
        accept_unsigned_tenant=False,
        intake_queues=4,
        log_retention_days=7,
        tracing=True,
        point_in_time_recovery=True,
        host_platform=False,
        alarms=True,
        event_log=True,
        api=True,
        iam_api=True,
        traces=Exporter.XRAY.value,
    ),
    Stage.PROD: StageConfig(
        stage=Stage.PROD,
        retain_state=True,
        accept_unsigned_tenant=False,
        intake_queues=8,
        log_retention_days=90,
        tracing=True,
        point_in_time_recovery=True,
        host_platform=False,
        alarms=True,
        event_log=True,
        api=True,
        iam_api=True,
        traces=Exporter.XRAY.value,
        traces_ratio=0.05,
    ),
}


def stage_config(name: str) -> StageConfig:
    """The configuration of a stage by its name; raises `ValueError` that lists the known ones."""
    try:
        return STAGES[Stage(name)]
    except ValueError as error:
        raise ValueError(f"unknown stage {name!r}: choose one of {', '.join(Stage)}") from error
