"""What a check says: that something is well, or what is wrong with it and what to do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from pushlane.model.errors import PushlaneError


class Level(StrEnum):
    """`PROBLEM`: tasks wait, are lost from sight, or cannot come in. `WARNING`: somebody should look."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`check`: what was looked at. `fix`: what to do, where something is to be done."""

    check: str
    level: Level
    said: str
    fix: str | None = None


Check = Callable[[], Iterable[Finding]]
RANK: Final = {Level.OK: 0, Level.WARNING: 1, Level.PROBLEM: 2}


def well(check: str, said: str) -> Finding:
    return Finding(check=check, level=Level.OK, said=said)


def warning(check: str, said: str, fix: str) -> Finding:
    return Finding(check=check, level=Level.WARNING, said=said, fix=fix)


def problem(check: str, said: str, fix: str) -> Finding:
    return Finding(check=check, level=Level.PROBLEM, said=said, fix=fix)


def or_well(check: str, found: Iterable[Finding], said: str) -> list[Finding]:
    """What was found, or that all is well."""
    return list(found) or [well(check, said)]


def run_checks(checks: Mapping[str, Check], explained: Callable[[Exception], str | None]) -> Iterator[Finding]:
    """Every check, one after the other; one that fails is a finding, and keeps none of the others from their turn."""
    from botocore.exceptions import BotoCoreError, ClientError

    for name, check in checks.items():
        try:
            yield from check()
        except (PushlaneError, BotoCoreError, ClientError) as error:
            yield problem(name, "could not be checked", explained(error) or str(error))


def worst(findings: Iterable[Finding]) -> Level:
    return max((one.level for one in findings), key=RANK.__getitem__, default=Level.OK)
