"""What the process is given: its environment, read when something is wired and not at import."""

import os


def environ() -> dict[str, str]:
    return dict(os.environ)
