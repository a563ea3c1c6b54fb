"""The heartbeat's process itself: when it starts, what it listens to, and that it ends with its parent."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pushlane.agent.heartbeat import Report, Watch, child, words
from pushlane.agent.heartbeat.child import HeartbeatProcess
from pushlane.agent.heartbeat.process import ProcessHeartbeat
from pushlane.agent.lease import LeaseRules
from pushlane.aws.clock import wall_ms
from pushlane.inmemory import InMemoryItemStore
from pushlane.ports import Put
from tests.heartbeat.worlds import ROOT, WallClock

IGNORED: Any = lambda *_a, **_k: None  # noqa: E731  # a log that nobody reads


def watch_of(lease_ms: int, *, runner: str = "mine") -> Watch:
    now_ms = wall_ms()
    rules = LeaseRules(lease_ms=lease_ms, stall_ms=None, lasts_until_ms=now_ms + 600_000)
    return Watch(
        attempt_pk="default#0",
        task_id="t-1",
        epoch=1,
        runner=runner,
        rules=rules,
        progress_at_ms=now_ms,
        written_at_ms=now_ms,
        lease_until_ms=now_ms + lease_ms,
    )


class Listener:
    """A heartbeat's loop in a thread, over pipes and a store in memory."""

    def __init__(self) -> None:
        self.store = InMemoryItemStore(WallClock())
        self.stores: list[str] = []
        read_fd, self._write_fd = os.pipe()
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self.loop = HeartbeatProcess(os.getppid(), self._store, read_fd, write_fd)
        self._thread = threading.Thread(target=self.loop.run, daemon=True)
        self._thread.start()

    def _store(self, table: str) -> InMemoryItemStore:
        self.stores.append(table)
        return self.store

    def say(self, word: words.Word) -> None:
        os.write(self._write_fd, words.line(word))

    def keep(self, watch: Watch) -> None:
        self.store.write(Put(watch.key, {"epoch": 1, "runner": "mine", "lease_until_ms": watch.lease_until_ms}))
        self.say(words.Keep(number=1, table="attempts", watch=watch, ahead_ms=0))

    def lease_ms(self, watch: Watch) -> int:
        return int(str(self.store.get([watch.key])[watch.key].attributes["lease_until_ms"]))

    def heard(self) -> list[Report]:
        try:
            said = os.read(self._read_fd, 65_536)
        except BlockingIOError:
            return []
        return [words.said_of(line).report for line in said.splitlines()]

    def close(self) -> bool:
        os.close(self._write_fd)
        self._thread.join(5)
        return not self._thread.is_alive()


@pytest.fixture
def listener() -> Listener:
    return Listener()


def _keep(heard: list[list[Report]], one: list[Report]) -> list[Report]:
    heard.append(one)
    return one


def until(happened: Callable[[], Any], seconds: float = 3) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.02)
    return False


def test_no_store_is_made_before_the_first_beat_is_due(listener: Listener) -> None:
    watch = watch_of(30_000)
    listener.keep(watch)
    time.sleep(0.3)
    assert (listener.stores, listener.lease_ms(watch)) == ([], watch.lease_until_ms)
    assert listener.close()


def test_a_lease_is_extended_in_time_until_the_attempt_is_over(listener: Listener) -> None:
    watch = watch_of(600)
    listener.keep(watch)
    assert until(lambda: listener.lease_ms(watch) > watch.lease_until_ms + 600)
    listener.say(words.Stop(number=1))
    time.sleep(0.1)
    last_ms = listener.lease_ms(watch)
    time.sleep(0.5)
    assert listener.lease_ms(watch) == last_ms
    assert listener.close()


def test_what_is_somebody_elses_is_reported_lost_and_left_alone(listener: Listener) -> None:
    watch = watch_of(300, runner="zombie")
    listener.keep(watch)
    heard: list[list[Report]] = []
    assert until(lambda: _keep(heard, listener.heard()))
    assert heard[-1] == [Report(lost=True)]
    assert listener.lease_ms(watch) == watch.lease_until_ms
    assert listener.close()


def test_after_a_freeze_it_listens_before_it_writes(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time jumps; the parent, thawed with it, says at once that the attempt is over: no beat is written."""
    watch = watch_of(30_000)
    listener.keep(watch)
    assert until(lambda: listener.loop._hearts)
    monkeypatch.setattr(child, "wall_ms", lambda: wall_ms() + 60_000)
    assert until(lambda: listener.loop._hearts[1].not_before_ms)
    listener.say(words.Stop(number=1))
    time.sleep(0.5)
    assert (listener.stores, listener.lease_ms(watch)) == ([], watch.lease_until_ms)
    assert listener.close()


def test_a_store_that_fails_is_tried_again(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ConnectionError("as ordered")] * 2
    write = listener.store.write

    def failing(operation: Any) -> Any:
        if failures:
            raise failures.pop()
        return write(operation)

    watch = watch_of(3_000)
    listener.keep(watch)
    monkeypatch.setattr(listener.store, "write", failing)
    assert until(lambda: listener.lease_ms(watch) > watch.lease_until_ms, 4)
    assert listener.close()


def pid_of(made: ProcessHeartbeat) -> int | None:
    return made.pid


@contextmanager
def heartbeat(*command: str) -> Iterator[ProcessHeartbeat]:
    made = ProcessHeartbeat(command, "attempts", WallClock(), IGNORED)
    try:
        yield made
    finally:
        made.close()


def test_one_process_serves_all_attempts_and_a_dead_one_is_replaced() -> None:
    with heartbeat(sys.executable, "-m", "pushlane.wiring.heartbeat") as made:
        assert pid_of(made) is None
        first = made.keep(watch_of(30_000))
        assert first is not None
        pid = pid_of(made)
        first.stop()
        first.stop()
        second = made.keep(watch_of(30_000))
        assert (pid_of(made), second is None) == (pid, False)
        assert pid is not None
        os.kill(pid, 9)
        assert until(lambda: pid_of(made) is None)
        third = made.keep(watch_of(30_000))
        assert third is not None
        assert pid_of(made) not in (None, pid)
        assert third.heard() == []


def test_where_no_process_can_be_started_there_is_no_heartbeat() -> None:
    with heartbeat("/nowhere/python") as made:
        assert made.keep(watch_of(30_000)) is None


def test_a_child_that_writes_what_it_should_not_is_not_misunderstood() -> None:
    with heartbeat(sys.executable, "-c", "import sys; print('hello'); sys.stdin.read()") as made:
        kept = made.keep(watch_of(30_000))
        assert kept is not None
        time.sleep(0.3)
        assert kept.heard() == []


PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-m", "pushlane.wiring.heartbeat", str(os.getpid()), *sys.argv[1:]]
child = subprocess.Popen(command, stdin=subprocess.PIPE)
held = os.dup(child.stdin.fileno())
os.set_inheritable(held, True)
if os.fork() == 0:  # a grandchild that keeps the pipe open, as a worker of the agent's own may
    os.close(1)
    time.sleep(5)
    os._exit(0)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word on a parent's end is Linux's")
@pytest.mark.parametrize("quiet_ms", ["0"])
def test_it_dies_with_its_parent_even_if_somebody_else_holds_the_pipe(quiet_ms: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}"}
    command = [sys.executable, "-c", PARENT, quiet_ms, "--die-with-parent"]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.7)
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()
    assert until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
