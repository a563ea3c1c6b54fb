"""What goes wrong in a test's store: a call that fails, or somebody who slips in between."""

from collections.abc import Callable, Sequence

from pushlane.model.errors import StoreUnavailable
from pushlane.ports import Write


class FailAt:
    """Fails the n-th call that is made while it is armed, before it is applied or after; counts the calls."""

    def __init__(self, number: int | None, moment: str) -> None:
        self.number = number
        self.moment = moment
        self.calls = 0
        self.armed = False

    def before(self, name: str, operations: Sequence[Write]) -> None:
        self.calls += self.armed
        self._fail("before", name)

    def after(self, name: str, operations: Sequence[Write]) -> None:
        self._fail("after", name)

    def _fail(self, moment: str, name: str) -> None:
        if self.armed and self.calls == self.number and self.moment == moment:
            raise StoreUnavailable(f"call {self.calls} ({name}): the answer was lost {moment} it was applied")


class Beside:
    """Runs a step before (`early`), or after (`late`), the first transaction for which `when` holds."""

    def __init__(self, when: Callable[[Sequence[Write]], bool] = lambda _operations: False) -> None:
        self.when = when
        self.early: Callable[[], object] | None = None
        self.late: Callable[[], object] | None = None

    @property
    def over(self) -> bool:
        """The steps have run."""
        return self.early is None and self.late is None

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact" and self.early is not None and self.when(operations):
            step, self.early = self.early, None
            step()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact" and self.late is not None and self.when(operations):
            step, self.late = self.late, None
            step()
