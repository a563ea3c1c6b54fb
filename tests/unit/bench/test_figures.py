"""A run's figures stand in docs/bench.md between its marks."""

from pathlib import Path

import msgspec
import pytest

from bench import figures
from bench.report import Report


def test_figures_replace_what_stood_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(msgspec.json.encode(Report(usd_per_million={"pushlane": 29.0})))
    once = figures.with_figures(figures.PAGE.read_text(), figures.figures_of(file))
    assert "| pushlane | - | - | 29.00 |" in once
    assert "emulated" in once
    assert figures.with_figures(once, figures.figures_of(file)) == once
    assert once.partition(figures.BEGIN)[0] == figures.PAGE.read_text().partition(figures.BEGIN)[0]


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks"):
        figures.with_figures("# Bench\n", "nothing")
