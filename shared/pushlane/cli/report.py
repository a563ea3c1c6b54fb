"""The verb that sums up a period: report."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.cli.reporting import Report
    from pushlane.ports import ItemStore


class By(StrEnum):
    """What a row is about."""

    TENANT = "tenant"
    TIER = "tier"


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(report)


def report(
    last: Annotated[str, typer.Option(help="How far back: 90s, 30m, 24h, 7d.")] = "24h",
    since: Annotated[str | None, typer.Option("--from", help="From this moment on, as 2026-03-01T14:30Z.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Until this moment; without it until now.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    by: Annotated[By, typer.Option(help="A row for each tenant, or for each of its tiers.")] = By.TENANT,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of tables.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write into this file, as JSON or Markdown by its suffix.")] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Sum up a period: work done, deadlines met and missed, pickup times and their causes, cost and fairness, pools.

    Percentiles are of sketches, within 1 % of the exact ones; slices of five seconds count as a whole.

    \b
    Examples:
      pushlane report
      pushlane report --last 7d --by tier --markdown
      pushlane report --from 2026-03-01 --to 2026-04-01 --tenant atlas --out march.md --stage prod
      pushlane report --last 1h --json | jq .missed_share
    """
    from pushlane.cli.periods import period
    from pushlane.cli.report_pages import markdown as as_markdown
    from pushlane.cli.target import connect, now_ms
    from pushlane.client import NotInstalled

    from_ms, to_ms = period(last, since, until, now_ms())
    try:
        made = _made(connect(stage, profile, endpoint).store, (from_ms, to_ms), tenant, by)
    except KeyError as error:  # the store has no table of them
        raise NotInstalled("what is deployed keeps no measures: deploy all stacks again") from error
    if out is not None:
        _write(made, out)
    if json:
        output.as_json(made)
    elif markdown:
        output.line(as_markdown(made))
    elif out is None:
        _show(made)


def _made(store: "ItemStore", whole: tuple[int, int], tenant: str | None, by: By) -> "Report":
    from pushlane.cli.reporting import report_of
    from pushlane.client.policies import current_policy
    from pushlane.state.pools import registered_pools
    from pushlane.telemetry.reading import summaries
    from pushlane.telemetry.sampling import samples

    from_ms, to_ms = whole
    policy = current_policy(store)
    found = summaries(
        store,
        from_ms=from_ms,
        to_ms=to_ms,
        tenant_id=tenant,
        by="tenant" if by is By.TENANT else "tenant_tier",
        policy=policy,
    )
    pools = [] if tenant is not None else sorted({*registered_pools(store), *policy.pools})
    sampled = {pool: samples(store, pool, from_ms=from_ms, to_ms=to_ms) for pool in pools}
    return report_of(found, sampled, from_ms, to_ms)


def _write(made: "Report", out: Path) -> None:
    import msgspec

    from pushlane.cli.report_pages import markdown as as_markdown

    if out.suffix not in (".json", ".md"):
        raise typer.BadParameter(f"{out} ends in neither .json nor .md", param_hint="--out")
    text = msgspec.json.format(msgspec.json.encode(made)).decode() if out.suffix == ".json" else as_markdown(made)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}", param_hint="--out") from error
    output.note(f"written: {out}")


def _show(made: "Report") -> None:
    from pushlane.cli.report_pages import fairness_line, pages, summary_line

    output.line(summary_line(made))
    for page in pages(made):
        output.table(page.title, page.headings, page.rows)
    output.line(fairness_line(made))
