"""A small process that ends the emulator when the process that started it is gone, however it went.

Run as `python -m pushlane.local.guard FOLDER`. Its standard input is a pipe from the starter: the emulator's
process group on a line (one line for each start that was tried), then nothing until the starter closes it or dies.
So neither SIGTERM nor SIGKILL of the starter leaves an emulator or a Lambda worker behind, and the starter's own
signal handlers stay as they are.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pushlane.local.processes import end_group


def main(folder: str) -> None:
    for group_id in list(sys.stdin):
        end_group(int(group_id))
    shutil.rmtree(Path(folder), ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
