"""The figures of the edge in `build/edge/report.json`: each test writes its own section and leaves the others alone."""

import fcntl
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

REPORT: Final = Path(__file__).resolve().parents[2] / "build" / "edge" / "report.json"


def report(section: str, figures: Mapping[str, Any], path: Path = REPORT) -> None:
    """Replace one section. Tests in several processes may report at once: no section is lost, no reader sees half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        merged = {**reported(path), section: dict(figures)}
        _replace(path, json.dumps(merged, indent=2, sort_keys=True) + "\n")


def reported(path: Path = REPORT) -> dict[str, Any]:
    """Every section that was written; none when there is no report, or no whole one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".report-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
