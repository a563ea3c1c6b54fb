"""The stage and the build settings of a CDK app, read from its context flags (`-c name=value`, or `cdk.json`)."""

import dataclasses
from pathlib import Path
from typing import Final

import aws_cdk as cdk
from constructs import Construct

from pushlane.cdk.bundling import AWS_TARGET, BundlePlan, host_target
from pushlane.cdk.bundling.requirements import find_lock
from pushlane.settings.stage import Stage, StageConfig, stage_config

_TRUE: Final = frozenset({"true", "1", "yes"})


def flag(scope: Construct, name: str, *, default: bool = False) -> bool:
    """A context flag. The CDK command line passes text, `cdk.json` a boolean; both are understood."""
    value = scope.node.try_get_context(name)
    return default if value is None else str(value).lower() in _TRUE


def cors_origins(scope: Construct, *, default: tuple[str, ...]) -> tuple[str, ...]:
    """Where web pages may call the API from: `-c cors_origins=`, separated by commas."""
    value = scope.node.try_get_context("cors_origins")
    return default if value is None else tuple(one.strip() for one in str(value).split(",") if one.strip())


def producers_of_context(scope: Construct) -> tuple[str, ...]:
    """The principals that may send through the doors that tenants share: `-c producers=`, ARNs of roles or users
    separated by commas. Without it everybody may whose own rights say so.
    """
    value = scope.node.try_get_context("producers")
    return tuple(one.strip() for one in str(value or "").split(",") if one.strip())


def config_of_context(scope: Construct) -> StageConfig:
    """The configuration of the stage that `-c stage=` names (default `local`).

    `-c trusted_doors=true` says that only trusted principals can reach the doors, so that the tenant in a message's
    body is believed outside `local` too; `-c event_log=true` has tasks' event logs written at `local`; `-c api=` and
    `-c iam_api=` say whether the HTTP and WebSocket API is deployed, whose streams need the event logs; `-c traces=`
    (`none`, `file:PATH`, `otlp:URL` or `xray`) and `-c traces_ratio=` where spans go and of which share of the traces.
    Raises `ValueError` for an unknown stage, and for traces that go nowhere.
    """
    config = stage_config(str(scope.node.try_get_context("stage") or Stage.LOCAL))
    api = flag(scope, "api", default=config.api)
    return dataclasses.replace(
        config,
        accept_unsigned_tenant=config.accept_unsigned_tenant or flag(scope, "trusted_doors"),
        event_log=api or flag(scope, "event_log", default=config.event_log),
        api=api,
        iam_api=api and flag(scope, "iam_api", default=config.iam_api),
        traces=str(scope.node.try_get_context("traces") or config.traces),
        traces_ratio=_ratio(scope, default=config.traces_ratio),
    )


def _ratio(scope: Construct, *, default: float) -> float:
    said = scope.node.try_get_context("traces_ratio")
    try:
        return default if said is None else float(said)
    except ValueError as error:
        raise ValueError(f"traces_ratio={said!r}: a share from 0 to 1, as 0.05") from error


def bundle_plan(scope: Construct, config: StageConfig) -> BundlePlan:
    """How functions are bundled: `-c vendor=true` adds third-party code; `build_dir` and `requirements_lock` are paths.

    The lock is by default the `requirements.lock` of the app's folder or the nearest one above it.
    """
    folder = Path.cwd()
    lock = scope.node.try_get_context("requirements_lock")
    return BundlePlan(
        vendor=flag(scope, "vendor"),
        target=host_target() if config.host_platform else AWS_TARGET,
        build_folder=folder / str(scope.node.try_get_context("build_dir") or "build"),
        requirements_lock=Path(str(lock)) if lock else find_lock(folder),
    )


def removal_policy(config: StageConfig) -> cdk.RemovalPolicy:
    """What `cdk destroy` does with state: kept where the stage says so."""
    return cdk.RemovalPolicy.RETAIN if config.retain_state else cdk.RemovalPolicy.DESTROY


def tls_only(config: StageConfig) -> bool:
    """Whether resources refuse plain HTTP: everywhere but on an emulator, which speaks nothing else."""
    return not is_local(config)


def is_local(config: StageConfig) -> bool:
    """Whether the stage runs on an emulator, whose gaps some settings avoid."""
    return config.stage is Stage.LOCAL
