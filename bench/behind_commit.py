"""What a task costs behind the commit that decided on it: the folds of the lifecycle and the log of the streamer."""

from typing import Final

from bench.counted_path import Tally
from bench.counts import STREAMER, Counted, low_load, saturated

LIFECYCLE: Final = "lifecycle"
# Enough that the shares of batches settle; each is a whole task through the real handlers.
_TASKS: Final = 60


def table() -> str:
    """Items written and write units of one task, with slots free and with tasks that wait."""
    worlds = [written(low_load(_TASKS)), written(saturated(_TASKS))]
    writers = sorted({writer for world in worlds for writer in world})
    lines = ["| who -> table | slots are free | tasks wait |", "|---|---|---|"]
    lines += [f"| {writer} |" + "".join(f" {_pair(world.get(writer))} |" for world in worlds) for writer in writers]
    return "\n".join(lines)


def written(counted: Counted) -> dict[str, Tally]:
    """What those behind the commit write, by who writes it where."""
    sums: dict[str, Tally] = {}
    for line, tally in sorted(counted.lines.items()):
        if line.step in (LIFECYCLE, STREAMER) and tally.write_units:
            total = sums.setdefault(f"{line.step} -> {line.target}", Tally())
            total.entries += tally.entries
            total.write_units += tally.write_units
    return sums


def _pair(tally: Tally | None) -> str:
    return "" if tally is None else f"{tally.entries:.1f} / {tally.write_units:.0f}"
