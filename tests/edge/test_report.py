"""The report of the edge keeps every section, whoever writes."""

import multiprocessing
from pathlib import Path

from tests.edge.report import report, reported


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    report("streams", {"count": 20, "gaps": 1}, path)
    report("authz", {"cells": 8}, path)
    report("streams", {"count": 200}, path)
    assert reported(path) == {"authz": {"cells": 8}, "streams": {"count": 200}}


def test_what_is_no_report_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"half": ')
    report("authz", {"cells": 8}, path)
    assert reported(path) == {"authz": {"cells": 8}}


def test_writers_in_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=report, args=(f"part-{n}", {"n": n}, path)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=30)
    assert reported(path) == {f"part-{n}": {"n": n} for n in range(8)}
