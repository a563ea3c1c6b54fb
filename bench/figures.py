"""Puts the figures of the last run into docs/bench.md: `python -m bench.figures`."""

import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from bench.place import BUILD, ROOT
from bench.report import Report, digest

PAGE: Final = ROOT / "docs" / "bench.md"
BEGIN: Final = "<!-- python -m bench.figures -->"
END: Final = "<!-- end -->"


def with_figures(text: str, figures: str) -> str:
    """The page with what stands between its marks replaced; raises `ValueError` when it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no marks {BEGIN} and {END}: put them where the figures belong")
    return f"{before}{BEGIN}\n\n{figures}\n{END}{after}"


def figures_of(file: Path) -> str:
    """The digest of a report, and when and on what it was measured."""
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date()
    machine = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return f"Measured on {day}, emulated ({machine}).\n\n{digest(report).replace('## ', '### ')}"


def main() -> int:
    file = BUILD / "report.json"
    if not file.is_file():
        print(f"there is no {file.relative_to(ROOT)}: run make bench first", file=sys.stderr)
        return 1
    PAGE.write_text(with_figures(PAGE.read_text(), figures_of(file)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
