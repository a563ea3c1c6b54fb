"""What an attempt has used of what costs money."""

from pushlane.model.attempt import Usage


class Used:
    """Adds up what the author reports."""

    def __init__(self) -> None:
        self._tokens: int | None = None
        self._resources: dict[str, int] = {}

    def add(self, tokens: int, resources: dict[str, int]) -> None:
        """Raises `ValueError` for less than nothing."""
        for name, amount in {"tokens": tokens, **resources}.items():
            if amount < 0:
                raise ValueError(f"used({name}={amount}): nothing is given back here, report 0 or more")
        if tokens or not resources:
            self._tokens = (self._tokens or 0) + tokens
        for name, amount in resources.items():
            self._resources[name] = self._resources.get(name, 0) + amount

    @property
    def usage(self) -> Usage:
        """All that was reported so far."""
        return Usage(tokens=self._tokens, resources=dict(self._resources))
