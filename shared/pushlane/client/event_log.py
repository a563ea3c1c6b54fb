"""What happened to a task and what its attempts said, in order: the event log that the streamer writes. Reads only."""

from collections.abc import Iterator

from pushlane.model.timeline import LoggedEvent
from pushlane.ports import ItemStore
from pushlane.state.event_log import LogPage, read_events

_PAGE = 100


class EventLog:
    """The logs of all tasks. An event is there a moment after it happened, and is kept for a week by default."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store

    def read(self, task_id: str, *, after: int = 0, limit: int = _PAGE) -> LogPage:
        """Up to `limit` events (at most 1,000) with a higher sequence than `after`; none for an unknown task."""
        return read_events(self._store, task_id, after=after, limit=limit)

    def since(self, task_id: str, after: int = 0) -> Iterator[LoggedEvent]:
        """All events with a higher sequence than `after` that are there now, page by page."""
        more = True
        while more:
            page = self.read(task_id, after=after)
            yield from page.events
            after, more = page.last, page.more
