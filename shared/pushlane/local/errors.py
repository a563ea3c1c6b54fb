"""What can go wrong around the local AWS. Each message says what happened and what to do next."""

from __future__ import annotations

from pathlib import Path

from pushlane.model.errors import PushlaneError


class LocalAwsError(PushlaneError):
    """Root of the errors of `pushlane.local`."""


class PortTaken(LocalAwsError):
    """The port is in use. `owner` describes the process that listens there, when the system tells."""

    def __init__(self, port: int, owner: str | None) -> None:
        by = f" by {owner}" if owner else ""
        super().__init__(
            f"port {port} is taken{by}. Stop that process, or choose another port: pushlane up --port {port + 1}"
        )
        self.port = port
        self.owner = owner


class EmulatorFailed(LocalAwsError):
    """The emulator ended or did not answer in time."""

    def __init__(self, reason: str, log_path: Path, tail: str = "") -> None:
        super().__init__(f"the local AWS {reason}. Its log: {log_path}{_quoted(tail)}")
        self.log_path = log_path


class StateUnreadable(LocalAwsError):
    """The state file of `pushlane up` cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not readable ({reason}). Delete it, then end any `python -m ministack` by hand")


class EndpointConflict(LocalAwsError):
    """AWS_ENDPOINT_URL names another endpoint than the one that was asked for."""

    def __init__(self, asked: str, found: str) -> None:
        super().__init__(f"AWS_ENDPOINT_URL is {found}, but {asked} was asked for. Unset it, or set it to {asked}")


class DeployFailed(LocalAwsError):
    """A phase of the deployment failed. Carries the phase and the end of its output."""

    def __init__(self, phase: str, reason: str, log_path: Path, tail: str, emulator_log: Path | None) -> None:
        also = f" The local AWS's log: {emulator_log}." if emulator_log else ""
        super().__init__(f"{phase} {reason}. Full output: {log_path}.{also}{_quoted(tail)}")
        self.phase = phase
        self.tail = tail


def _quoted(tail: str) -> str:
    return f"\n--- its last lines ---\n{tail}" if tail else ""
