"""The producer's own account: what a door said yes to, and when. Everything is checked against it afterwards."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from pushlane.client import Client, Submitted
from pushlane.local.demo.workload import Order
from pushlane.model.task import EVENT_DOORS, Door

WAVE: int = 40


class Ledger(Struct, frozen=True, kw_only=True):
    """Which orders were taken (`submitted`, the first yes to each), sent twice, or refused by their door."""

    orders: dict[str, Order] = {}
    submitted: dict[str, Submitted] = {}
    repeated: dict[str, Submitted] = {}
    refused: dict[str, str] = {}

    @property
    def doors(self) -> dict[str, int]:
        """Yes answers by door, repeats included."""
        said_yes = Counter(one.door.value for one in (*self.submitted.values(), *self.repeated.values()))
        return {door.value: said_yes[door.value] for door in EVENT_DOORS}

    @property
    def chained_ids(self) -> frozenset[str]:
        """Tasks that follow from the submitted ones."""
        return frozenset(chained for task_id in self.submitted for chained in self.orders[task_id].chained_ids)

    @property
    def expected_ids(self) -> frozenset[str]:
        """Every task that must end."""
        return self.chained_ids | self.submitted.keys()


def send(client: Client, wave: Sequence[Order], ledger: Ledger) -> None:
    """Send a wave of orders, then its repeats through their second doors, and enter every answer into the ledger."""
    ledger.orders.update({order.task_id: order for order in wave})
    for door in EVENT_DOORS:
        _through(client, door, [order for order in wave if order.door is door], ledger.submitted, ledger)
    for door in EVENT_DOORS:
        taken = [order for order in wave if order.again is door and order.task_id in ledger.submitted]
        _through(client, door, taken, ledger.repeated, ledger)


def waves(orders: Sequence[Order]) -> list[Sequence[Order]]:
    """Orders in the sizes that fill the doors' batches."""
    return [orders[start : start + WAVE] for start in range(0, len(orders), WAVE)]


def _through(client: Client, door: Door, orders: Sequence[Order], taken: dict[str, Submitted], ledger: Ledger) -> None:
    if not orders:
        return
    batch = client.submit_many([order.data for order in orders], door=door)
    taken.update({submitted.task_id: submitted for submitted in batch.accepted})
    ledger.refused.update({refused.task_id: refused.reason for refused in batch.refused})
