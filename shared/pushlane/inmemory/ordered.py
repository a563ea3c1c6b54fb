"""A sorted list in blocks: what is added or removed moves the tail of one block, not of everything."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

_Value = TypeVar("_Value", str, tuple[int, int, str, str])

# A block is split in two when it is full. Moving a thousand pointers takes less than finding the block.
_BLOCK_MAX: Final = 1_000


class Ordered(Generic[_Value]):
    """Different values in order."""

    __slots__ = ("_blocks", "_lasts")

    def __init__(self) -> None:
        self._blocks: list[list[_Value]] = []
        self._lasts: list[_Value] = []  # the last value of each block

    def add(self, value: _Value) -> None:
        if not self._blocks:
            self._blocks.append([value])
            self._lasts.append(value)
            return
        at = min(bisect_left(self._lasts, value), len(self._blocks) - 1)
        block = self._blocks[at]
        insort(block, value)
        self._lasts[at] = block[-1]
        if len(block) > _BLOCK_MAX:
            middle = len(block) // 2
            self._blocks[at : at + 1] = [block[:middle], block[middle:]]
            self._lasts.insert(at, block[middle - 1])

    def remove(self, value: _Value) -> None:
        """Take out a value that is there."""
        at = bisect_left(self._lasts, value)
        block = self._blocks[at]
        del block[bisect_left(block, value)]
        if block:
            self._lasts[at] = block[-1]
        else:
            del self._blocks[at]
            del self._lasts[at]

    def since(self, start: _Value) -> Iterator[_Value]:
        """The values that are not below `start`, in order."""
        at = bisect_left(self._lasts, start)
        if at == len(self._blocks):
            return
        block = self._blocks[at]
        yield from block[bisect_left(block, start) :]
        for following in self._blocks[at + 1 :]:
            yield from following
