"""Verbs around the simulator: a trace of one's own, the published worlds, and the files they come from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pushlane.simulator.curves import Curves
    from pushlane.simulator.setting import Setting
    from pushlane.simulator.suite import Order, Outcome
    from pushlane.simulator.trace import TraceTask

SEED = 7
MISSED = 1

simulator = typer.Typer()

Policies = Annotated[
    list[str] | None, typer.Option("--policy", help="Repeatable, or separated by commas; all without it.")
]
Seed = Annotated[int, typer.Option(help="Of the worlds and of the errors of the estimates.")]
Requests = Annotated[Path | None, typer.Option(help="The recorded trace that the conv worlds are made from.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(simulator, name="simulate")


@simulator.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    trace: Annotated[Path | None, typer.Option(help="A trace file; its format is in docs/simulator.md.")] = None,
    policy: Policies = None,
    slots: Annotated[int | None, typer.Option(help="Agent slots of the pool.", min=1)] = None,
    load: Annotated[float | None, typer.Option(help="Work offered / capacity; gives the slots.")] = None,
    agents: Annotated[int, typer.Option(help="Agents that the slots are spread over.", min=1)] = 1,
    pool: Annotated[list[str] | None, typer.Option(help="NAME=SLOTS[/AGENTS][:TYPE,TYPE] instead of --slots.")] = None,
    rate: Annotated[list[str] | None, typer.Option(help="NAME=TOKENS_PER_MINUTE[/BURST][:TYPE,TYPE].")] = None,
    estimate_error: Annotated[float, typer.Option(metavar="SIGMA", help="Lognormal error; 0 is exact.", min=0)] = 0.0,
    noisy: Annotated[str | None, typer.Option(help="The tenant that the quiet ones are counted apart from.")] = None,
    seed: Seed = SEED,
    json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Write report.json and plots (PNG) into this folder.")] = None,
) -> None:
    """Run a trace under Pushlane's own plan and the schedulers it is compared with.

    \b
    Examples:
      pushlane simulate --trace day.csv --slots 40
      pushlane simulate --trace day.csv --load 1.2 --policy pushlane,fifo --estimate-error 0.5 --out build/day
      pushlane simulate --trace day.csv --pool web=8:crawl --pool rest=20 --rate gpt=300000:summarise
      pushlane simulate worlds --help
    """
    if context.invoked_subcommand is not None:
        return
    if trace is None:
        raise typer.BadParameter("name a trace file, or a verb: worlds, generate, policies", param_hint="--trace")
    from pushlane.simulator.single import Question, compare

    tasks = _read(trace)
    question = Question(
        name=trace.stem,
        setting=_setting(tasks, slots, load, agents, pool or (), rate or ()),
        policies=_policies(policy),
        sigma=estimate_error,
        seed=seed,
        noisy=noisy,
    )
    comparison = compare(tasks, question, lambda name: output.note(f"{len(tasks):,} tasks under {name} ..."))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(_as_json(comparison.document))
        _plot({question.name: comparison.curves}, out)
    if json:
        output.as_json(comparison.document)
        return
    from pushlane.simulator.tables import console, show

    show(comparison.document, console())


@simulator.command()
def worlds(
    world: Annotated[list[str] | None, typer.Option(help="Repeatable; all of them without it.")] = None,
    sigma: Annotated[list[float] | None, typer.Option(help="Repeatable; 0, 0.5 and 1 without it.", min=0)] = None,
    policy: Policies = None,
    requests: Requests = None,
    isolation: Annotated[bool, typer.Option(help="Run the isolation experiments too.")] = True,
    isolation_only: Annotated[bool, typer.Option("--isolation-only", help="Run nothing else.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when a target is missed.")] = False,
    seed: Seed = SEED,
    json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Write the reports and plots (PNG) into this folder.")] = None,
) -> None:
    """Run the published worlds, on all cores, and say where Pushlane meets its targets and where a baseline wins.

    \b
    Examples:
      pushlane simulate worlds --requests AzureLLMInferenceTrace_conv.csv --out build/sim --check
      pushlane simulate worlds --world noisy-0.92 --sigma 0 --policy pushlane
    """
    from pushlane.simulator.catalogue import WORLDS
    from pushlane.simulator.suite import SIGMAS, Order, write

    order = Order(
        worlds=() if isolation_only else tuple(world or WORLDS),
        sigmas=tuple(sigma or SIGMAS),
        policies=_policies(policy),
        seed=seed,
        requests=requests if requests is not None and requests.exists() else None,
        # A part of the comparison does not ask for the whole of it.
        isolation=isolation_only or (isolation and not world and not policy),
    )
    outcome = _with_progress(order)
    if out is not None:
        files = write(outcome, out)
        files += _plot(_curves(outcome), out)
        output.note(f"written: {', '.join(map(str, files))}")
    _tell(outcome, json=json)
    if check and outcome.missed:
        output.note(f"{outcome.missed} targets are missed")
        raise typer.Exit(MISSED)


@simulator.command()
def generate(
    generator: Annotated[str, typer.Argument(help="noisy, conv, tight-tpm or workflows.")],
    file: Annotated[Path, typer.Argument(help="The trace file to write.")],
    requests: Requests = None,
    seed: Seed = SEED,
    json: Json = False,
) -> None:
    """Write the trace file of a published world.

    \b
    Examples:
      pushlane simulate generate noisy noisy.csv
      pushlane simulate generate conv conv.csv --requests AzureLLMInferenceTrace_conv.csv
    """
    from pushlane.simulator.catalogue import rows_of
    from pushlane.simulator.worlds import as_lines

    with_header = list(as_lines(rows_of(generator, seed, requests)))
    with file.open("w", newline="") as written:
        written.writelines(with_header)
    if json:
        output.as_json({"file": str(file), "tasks": len(with_header) - 1})
    else:
        output.line(f"{file}: {len(with_header) - 1:,} tasks")


@simulator.command()
def policies(json: Json = False) -> None:
    """List the policies that can be compared.

    \b
    Example:
      pushlane simulate policies --json
    """
    from pushlane.simulator.policies import DESCRIPTIONS

    if json:
        output.as_json(DESCRIPTIONS)
        return
    output.table("Policies", ("name", "what it does"), list(DESCRIPTIONS.items()))


def _read(trace: Path) -> "Sequence[TraceTask]":
    from pushlane.simulator.trace import InvalidTrace, read_trace

    try:
        with trace.open(newline="", encoding="utf-8-sig") as lines:
            return read_trace(lines)
    except (OSError, UnicodeDecodeError, InvalidTrace) as error:
        raise InvalidTrace(f"{trace}: {error}") from error


def _setting(
    tasks: "Sequence[TraceTask]",
    slots: int | None,
    load: float | None,
    agents: int,
    pools: "Sequence[str]",
    rates: "Sequence[str]",
) -> "Setting":
    from pushlane.simulator.setting import Setting, checked, one_pool, parse_pool, parse_rate
    from pushlane.simulator.trace import slots_for_load

    if sum((slots is not None, load is not None, bool(pools))) != 1:
        raise typer.BadParameter("give one of --slots, --load and --pool", param_hint="--slots")
    shared = tuple(map(parse_rate, rates))
    if pools:
        return checked(Setting(pools=tuple(map(parse_pool, pools)), rates=shared))
    count = slots if slots is not None else slots_for_load(tasks, load or 0.0)
    return one_pool(count, agents=agents, rates=shared)


def _policies(named: "Iterable[str] | None") -> tuple[str, ...]:
    from pushlane.simulator.policies import POLICIES, policy_named

    chosen = [name for text in named or () for name in text.split(",") if name]
    for name in chosen:
        policy_named(name)
    return tuple(dict.fromkeys(chosen or POLICIES))


def _with_progress(order: "Order") -> "Outcome":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from pushlane.simulator.experiment import Result
    from pushlane.simulator.isolation import Felt
    from pushlane.simulator.suite import run_suite

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("simulating")

        def began(runs: int) -> None:
            progress.update(bar, total=runs)

        def done(one: Result | Felt) -> None:
            name = f"{one.job.world}, {one.job.policy}" if isinstance(one, Result) else f"isolation, {one.case}"
            progress.update(bar, advance=1, description=name)

        return run_suite(order, began, done)


def _tell(outcome: "Outcome", *, json: bool) -> None:
    from pushlane.simulator.suite import statement

    if json:
        output.as_json(outcome.document)
        return
    from pushlane.simulator.tables import console, show, show_isolation

    screen = console()
    show(outcome.document, screen)
    if outcome.isolation:
        show_isolation(outcome.isolation, screen)
    for said in statement(outcome):
        output.line(said)


def _curves(outcome: "Outcome") -> "dict[str, dict[str, Curves]]":
    curves: dict[str, dict[str, Curves]] = {}
    for one in outcome.results:
        if one.job.sigma == 0:
            curves.setdefault(one.job.world, {})[one.job.policy] = one.curves
    return curves


def _plot(curves: "Mapping[str, Mapping[str, Curves]]", folder: Path) -> list[Path]:
    try:
        from pushlane.simulator.plots import plot_service, plot_waits
    except ModuleNotFoundError as error:
        output.note(f"no plots: {error}; install what draws them: pip install 'pushlane[simulate]'")
        return []
    files = []
    for name, policies in curves.items():
        for kind, plot in (("waits", plot_waits), ("service", plot_service)):
            files.append(folder / f"{name}-{kind}.png")
            plot(name, policies, files[-1])
    return files


def _as_json(value: object) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"
