"""A period on the command line: the last so much, or from one moment to another."""

import re
from datetime import UTC, datetime
from typing import Final

import typer

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_LENGTH: Final = re.compile(r"^(\d{1,6})([smhdw])$")


def length_ms(text: str, option: str) -> int:
    """A length as 90s, 30m, 24h, 7d or 4w, in milliseconds; raises `typer.BadParameter`."""
    found = _LENGTH.match(text)
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no length: say it as 90s, 30m, 24h, 7d or 4w", param_hint=option)
    return int(found[1]) * _UNITS_MS[found[2]]


def moment_ms(text: str, option: str) -> int:
    """A moment by ISO 8601, UTC where it names no zone, in Unix milliseconds; raises `typer.BadParameter`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        hint = f"{text!r} is no moment: say it as 2026-03-01 or 2026-03-01T14:30:00Z"
        raise typer.BadParameter(hint, param_hint=option) from error
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def period(last: str, since: str | None, until: str | None, now_ms: int) -> tuple[int, int]:
    """From when, and until before when; raises `typer.BadParameter`."""
    to_ms = now_ms if until is None else moment_ms(until, "--to")
    from_ms = to_ms - length_ms(last, "--last") if since is None else moment_ms(since, "--from")
    if from_ms >= to_ms:
        raise typer.BadParameter("the period ends before it begins", param_hint="--from")
    return from_ms, to_ms
