"""The pages of docs/reference, and the list of decisions: `tools/schemas.py` writes them and finds stale ones."""

from tools.reference import api, cli, decisions, events, metrics, settings


def pages() -> dict[str, str]:
    """Each page by its place below docs/."""
    return {
        "decisions/README.md": decisions.page(),
        "reference/api.md": api.page(),
        "reference/cli.md": cli.page(),
        "reference/events.md": events.page(),
        "reference/metrics.md": metrics.page(),
        "reference/settings.md": settings.page(),
    }
