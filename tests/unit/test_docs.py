"""The documentation holds together: links and anchors lead somewhere, every page is listed, commands exist, and figures
are those of the code or of the page that they come from.
"""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from pushlane.cli.main import app
from pushlane.model.claim_check import CLAIMED_BYTES_MAX, INLINE_BYTES_MAX
from pushlane.model.events import CAUSATION_DEPTH_MAX, LABELS_MAX
from pushlane.model.hook import BODY_BYTES_MAX
from pushlane.model.nesting import NESTING_MAX
from pushlane.model.policy import RESOURCES_MAX, SHARDS_MAX
from pushlane.model.signals import SIGNAL_DATA_BYTES_MAX, SIGNALS_BYTES_MAX, SIGNALS_MAX
from pushlane.model.workflow_document import EDGES_MAX, NODES_MAX
from pushlane.state.connections import SUBSCRIPTIONS_MAX
from pushlane.state.hooks import HOOKS_MAX
from pushlane.state.policies import DOCUMENT_BYTES_MAX
from tests.documents import DOCS, ROOT, anchors, commands, links, pages
from tools.reference.settings import context_flags, described_flags

COMMAND_LINE: Any = typer.main.get_command(app)
# Beside verbs.
GLOBAL = {"--help", "--install-completion", "--show-completion"}
KIB, MIB = 1024, 1024 * 1024
BY_NAME = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages()]


@pytest.mark.parametrize("page", BY_NAME)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    found = links(page)
    assert [link.target for link in found if not link.path.exists()] == []
    to_headings = [link for link in found if link.anchor and link.path.suffix == ".md"]
    assert [f"{link.target}#{link.anchor}" for link in to_headings if link.anchor not in anchors(link.path)] == []


def test_anchors_are_as_github_makes_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# `pushlane up`: a *start*\n## Limits\n## Limits\n```\n# no heading\n```\n## [Deploy](deploy.md) it\n"
    )
    assert anchors(page) == {"pushlane-up-a-start", "limits", "limits-1", "deploy-it"}


def test_the_index_leads_to_every_page() -> None:
    reached, waiting = set[Path](), [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        if page.name == "README.md":  # an index; other pages are no way to find one
            waiting += [link.path for link in links(page) if link.path.suffix == ".md" and link.path not in reached]
    moved = {DOCS / "hops.md"}
    assert set(DOCS.rglob("*.md")) - moved <= reached


def test_every_decision_is_listed_under_its_own_heading() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert len(records) >= 24
    for record in records:
        heading = record.read_text().partition("\n")[0].removeprefix("# ")
        assert re.match(rf"0*{int(record.name[:4])}[.:] ", heading), heading
        assert f"- [{heading}]({record.name})\n" in index
    assert len({record.name[:4] for record in records}) == len(records)


@pytest.mark.parametrize("page", BY_NAME)
def test_commands_and_their_options_exist(page: Path) -> None:
    assert [problem for command in commands(page) if (problem := problem_of(command))] == []


def problem_of(command: str) -> str | None:
    """What the command line would say against verb or options, or None."""
    known, words = COMMAND_LINE, shlex.split(re.split(r"\s[|&;>]|\)$", command)[0], comments=True)[1:]
    while words and (inner := getattr(known, "commands", {}).get(words[0])) is not None:
        known, words = inner, words[1:]
    if getattr(known, "commands", None) and not getattr(known, "invoke_without_command", False):
        if words and words[0] in GLOBAL:
            return None
        return f"{command}: no such verb"
    options = {option for one in known.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"{command}: no option {unknown}" if unknown else None


def test_a_command_that_does_not_exist_is_found() -> None:
    assert problem_of("pushlane sumbit README.md")
    assert problem_of("pushlane dlq redrive tasks --waiting")
    assert problem_of("pushlane tenants forget atlas")
    assert problem_of("pushlane dlq redrive tasks --wait | cat --no-such") is None


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = [*pages(), *(ROOT / "shared").rglob("*.py"), *(ROOT / "shared").rglob("*.template")]
    named = re.compile(r"pushlane\[([a-z, ]+)\]")
    used = {name.strip() for path in sources for found in named.findall(path.read_text()) for name in found.split(",")}
    assert "client" in used
    assert used <= extras.keys()


def test_the_context_flags_of_the_page_are_those_of_the_code() -> None:
    assert described_flags((DOCS / "deploy.md").read_text()) == context_flags().keys()


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("inside the tables", f"{INLINE_BYTES_MAX // KIB} KiB"),
        ("checkpoint at all", f"{CLAIMED_BYTES_MAX // MIB} MiB"),
        ("nesting", f"{NESTING_MAX} levels"),
        ("labels", str(LABELS_MAX)),
        ("shared resources", str(RESOURCES_MAX)),
        ("tasks submitting", f"{CAUSATION_DEPTH_MAX} deep"),
        ("tasks of a workflow", f"{NODES_MAX:,}"),
        ("edges", f"{EDGES_MAX:,}"),
        ("signals to one task", str(SIGNALS_MAX)),
        ("data of one signal", f"{SIGNAL_DATA_BYTES_MAX // KIB} KiB"),
        ("all signals", f"{SIGNALS_BYTES_MAX // KIB} KiB"),
        ("a shared rate", str(SHARDS_MAX)),
        ("one WebSocket", str(SUBSCRIPTIONS_MAX)),
        ("webhook that comes in", f"{BODY_BYTES_MAX // KIB} KiB"),
        ("hooks", str(HOOKS_MAX)),
        ("policy document", f"{DOCUMENT_BYTES_MAX:,} bytes"),
    ],
)
def test_the_limits_are_the_codes(what: str, limit: str) -> None:
    section = (DOCS / "backends.md").read_text().partition("## Limits of Pushlane")[2].partition("\n## ")[0]
    [row] = [line for line in section.splitlines() if line.startswith("| ") and what in line.split("|")[1]]
    assert row.split("|")[2].strip() == limit


def figures(line: str) -> list[str]:
    """The figures of a table's row, without what stands behind them in brackets."""
    return [re.sub(r" \(.*?\)$", "", cell.strip()) for cell in line.strip("| ").split(" | ")]


def test_what_one_pool_takes_is_what_the_capacity_page_computes() -> None:
    capacity = {row[0]: row[1:] for row in map(figures, rows_below("capacity.md", "<!-- python")) if len(row) == 5}
    shown = {row[0]: row[1:] for row in map(figures, rows_below("scaling.md", "## How far one pool goes"))}
    assert {agents: capacity[agents] for agents in shown} == shown


def test_many_pools_take_as_many_times_more() -> None:
    rows = {int(row[0]): row[1:] for row in map(figures, rows_below("scaling.md", "## A second pool"))}
    assert rows == {pools: [times(pools, one) for one in rows[1]] for pools in rows}


def times(pools: int, figure: str) -> str:
    """Each number of a figure so many times: 30-65 becomes 60-130."""
    return re.sub(r"\d+", lambda found: f"{pools * int(found[0]):,}", figure)


def rows_below(name: str, mark: str) -> list[str]:
    """The rows of the tables from a mark to the next heading that begin with a number."""
    section = (DOCS / name).read_text().partition(mark)[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if re.match(r"\| \d", line)]
