"""The invariants of attempts: who may say what of them, and when one is over."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from pushlane.ports import Attributes, BlobStore, Change
from tests.reliability.broken import Broken
from tests.reliability.mirror import Mirror, counted

CLAIM: Final = "$claim_check"


class Words:
    """Looks at each change of an attempt, and into the large checkpoints; `broken` hears what it finds."""

    def __init__(
        self, mirror: Mirror, blobs: BlobStore, now_ms: Callable[[], int], broken: Callable[[Broken, str], None]
    ) -> None:
        self._mirror = mirror
        self._blobs = blobs
        self._now_ms = now_ms
        self._broken = broken
        self._epochs: dict[str, int] = {}
        self._steps: dict[str, int] = {}  # how far each task's checkpoints have come

    def changed(self, change: Change) -> None:
        task_id, old, new = change.key.sk, change.old, change.new
        if old is None and new is not None:
            self._begun(task_id, new)
        elif old is not None and new is not None:
            self._said(task_id, old, new)
        elif old is not None:
            self._ended(task_id, old)

    def _begun(self, task_id: str, new: Attributes) -> None:
        epoch = new["epoch"]
        before = self._epochs.get(task_id, 0)
        if not isinstance(epoch, int) or epoch <= before:
            self._broken(
                Broken.DOUBLE_EFFECTS, f"task {task_id}: an attempt with epoch {epoch} after one with {before}"
            )
        else:
            self._epochs[task_id] = epoch

    def _said(self, task_id: str, old: Attributes, new: Attributes) -> None:
        """An attempt has one runner, and that one's last word stays."""
        if "runner" in old and new.get("runner") != old["runner"]:
            what = f"task {task_id}: the runner of epoch {old['epoch']} was {old['runner']} and is {new.get('runner')}"
            self._broken(Broken.DOUBLE_EFFECTS, what)
        if new.get("checkpoint") != old.get("checkpoint"):
            self._checkpointed(task_id, msgspec.json.decode(str(new.get("checkpoint", "{}"))))
        if new["epoch"] != old["epoch"]:
            self._broken(Broken.STALE_ACCEPTED, f"task {task_id}: its attempt's epoch was changed in place")
        if "outcome_digest" in old and new.get("outcome_digest") != old["outcome_digest"]:
            self._broken(
                Broken.DOUBLE_EFFECTS, f"task {task_id}: a second completion of epoch {old['epoch']} was taken"
            )
        if "outcome_digest" not in old and "outcome_digest" in new:
            outcome = msgspec.json.decode(str(new["outcome"]))
            if outcome.get("checkpoint") is not None and outcome["kind"] != "succeeded":
                self._checkpointed(task_id, outcome["checkpoint"])
            by, epoch = author_of(outcome)
            if by is not None and (by, epoch) != (new.get("runner"), new["epoch"]):
                what = f"task {task_id}: {by}/{epoch} finished the attempt of {new.get('runner')}/{new['epoch']}"
                self._broken(Broken.STALE_ACCEPTED, what)

    def _checkpointed(self, task_id: str, checkpoint: dict[str, Any]) -> None:
        """Steps follow each other, over all attempts of the task."""
        before = self._steps.get(task_id, 0)
        claimed = checkpoint.get(CLAIM)
        state = checkpoint if claimed is None else msgspec.json.decode(self._blobs.get(claimed["key"]))
        steps = state.get("n", before)
        if steps not in (before, before + 1):
            self._broken(Broken.STALE_ACCEPTED, f"task {task_id}: step {steps} was stored after step {before}")
        self._steps[task_id] = steps

    def _ended(self, task_id: str, old: Attributes) -> None:
        """An attempt is over by its runner's own word, or because its lease ran out without one."""
        now = self._mirror.tasks[task_id]
        if now.task is None:
            return
        if "outcome_digest" not in old:
            lease_until_ms = old["lease_until_ms"]
            held = msgspec.json.decode(str(old["reservation"]))
            gone = self._mirror.agents.get((held["agent_pool"], held["agent_id"])) == "UNAVAILABLE"
            if isinstance(lease_until_ms, int) and lease_until_ms > self._now_ms() and not gone:
                what = f"task {task_id}: epoch {old['epoch']} was ended within its lease and without its word"
                self._broken(Broken.STALE_ACCEPTED, what)
            return
        outcome = msgspec.json.decode(str(old["outcome"]))
        if (outcome["kind"] == "succeeded") != (now.status == "SUCCEEDED"):
            what = f"task {task_id} is {now.status}, its attempt {old['epoch']} said {outcome['kind']}"
            self._broken(Broken.STALE_ACCEPTED, what)
        elif now.status == "SUSPENDED" and counted(now.task, "signals") > outcome.get("signals_seen", 0):
            what = f"task {task_id} is suspended, and a signal has come that its attempt {old['epoch']} had not seen"
            self._broken(Broken.LOST, what)
        elif now.status == "SUCCEEDED":
            taken = msgspec.json.decode(str(now.task.get("result", "null")))
            if taken != outcome.get("result"):
                self._broken(Broken.STALE_ACCEPTED, f"task {task_id}: the result taken is not what its attempt said")

    def restored(self, task_id: str, epoch: int, steps: int) -> None:
        """An attempt goes on from its last checkpoint: neither behind it nor before it."""
        one = self._mirror.tasks.get(task_id)
        if one is not None and one.attempt is not None and one.attempt["epoch"] == epoch:
            stored = self._steps.get(task_id, 0)
            if steps != stored:
                what = f"task {task_id}: epoch {epoch} goes on after {steps} steps, and {stored} were stored"
                self._broken(Broken.LOST if steps < stored else Broken.STALE_ACCEPTED, what)


def author_of(outcome: dict[str, Any]) -> tuple[str | None, int | None]:
    """Who says of himself that he wrote an outcome: simulated agents sign their results and their errors."""
    result = outcome.get("result") or {}
    if "by" in result:
        return result["by"], result["epoch"]
    _, marked, signed = str((outcome.get("error") or {}).get("message", "")).partition("as ordered by ")
    if not marked:
        return None, None
    by, _, epoch = signed.partition("/")
    return by, int(epoch)
