"""Everything that is left to chance in a world, from one seed."""

import random
from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


class Chance:
    """A seeded source of decisions. The same seed asked the same questions gives the same answers."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"pushlane/{seed}")

    def hit(self, probability: float) -> bool:
        return self._random.random() < probability

    def pick(self, options: Sequence[Choice]) -> Choice:
        return options[int(self._random.random() * len(options))]

    def some(self, options: Sequence[Choice]) -> list[Choice]:
        """At least one and not all of them, when there are two or more; in their order."""
        if len(options) < 2:
            return list(options)
        count = self.between(1, len(options) - 1)
        kept = set(self._random.sample(range(len(options)), count))
        return [one for index, one in enumerate(options) if index in kept]

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def weighted(self, weights: Sequence[tuple[Choice, float]]) -> Choice:
        point = self._random.random() * sum(weight for _, weight in weights)
        for choice, weight in weights:
            point -= weight
            if point < 0:
                return choice
        return weights[-1][0]
