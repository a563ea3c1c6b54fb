"""Shapes (what work needs: capabilities and resources) that nothing waits in any more are forgotten.

Producers make them freely, and a pool is read as a whole.
"""

from collections.abc import Sequence
from typing import Final

from pushlane.model.task import Tier
from pushlane.ports import AnyOf, ConditionFailed, Conditions, Delete, Equals, Item, ItemStore, Missing
from pushlane.state.items import lanes_attribute, shape_of_item

# Of one pool, in one sweep.
FORGOTTEN_MAX: Final = 200

_UNUSED: Final[Conditions] = tuple(
    AnyOf((Missing(name), Equals(name, 0))) for name in (lanes_attribute(tier) for tier in Tier)
)


def forget_unused(store: ItemStore, shapes: Sequence[Item]) -> int:
    """Remove shapes of one pool in which no lane has tasks; returns how many. Whoever parks work
    in one at the same time writes it anew.
    """
    unused = [item for item in shapes if not shape_of_item(item).lanes]
    return sum(_forget(store, item) for item in unused[:FORGOTTEN_MAX])


def _forget(store: ItemStore, item: Item) -> bool:
    try:
        store.write(Delete(item.key, _UNUSED))
    except ConditionFailed:
        return False  # it is used again
    return True
