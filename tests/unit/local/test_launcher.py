"""The embedded AWS starts, answers on 127.0.0.1 only, and leaves no process behind, however its starter ends."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pushlane.local import emulator
from pushlane.local.endpoint import LocalAws
from pushlane.local.errors import EmulatorFailed, PortTaken, StateUnreadable
from pushlane.local.launcher import embedded_aws, start, status, stop
from pushlane.local.ports import HOST, free_port
from pushlane.local.processes import end_group, group_members, process
from pushlane.local.sessions import session_for
from pushlane.local.state import Running, read, write

WAIT_SECONDS = 15.0


@pytest.fixture(autouse=True)
def no_endpoint_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    if (tmp_path / "state" / "local-aws.json").exists():
        stop(tmp_path / "state")


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def start_a_worker(aws: LocalAws) -> None:
    """Invoke a Lambda, so that the emulator has a worker process."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "def main(event, context):\n    return {'ok': True}\n")
    functions = session_for(aws.endpoint_url, aws.region).client("lambda")
    functions.create_function(
        FunctionName="worker",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/worker",
        Handler="handler.main",
        Code={"ZipFile": code.getvalue()},
    )
    answer = functions.invoke(FunctionName="worker", Payload=b"{}")
    assert answer["Payload"].read() == b'{"ok": true}'


def test_it_answers_and_ends_with_the_block(tmp_path: Path) -> None:
    log = tmp_path / "aws.log"
    started = time.monotonic()
    with embedded_aws(log_path=log) as aws:
        assert time.monotonic() - started < WAIT_SECONDS
        queues = session_for(aws.endpoint_url, aws.region).client("sqs")
        url = queues.create_queue(QueueName="q")["QueueUrl"]
        queues.send_message(QueueUrl=url, MessageBody="hello")
        assert queues.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
        start_a_worker(aws)
        members = group_members(aws.pid)
        assert aws.pid in members
        assert len(members) > 1
    assert group_members(aws.pid) == []
    assert log.exists()


def test_it_ends_when_the_block_raises_and_its_log_stays() -> None:
    seen: list[LocalAws] = []

    def body() -> None:
        with embedded_aws() as aws:
            seen.append(aws)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        body()
    assert group_members(seen[0].pid) == []
    assert seen[0].log_path.exists()
    assert not seen[0].log_path.with_suffix("").exists()
    seen[0].log_path.unlink()


def test_without_trouble_nothing_stays() -> None:
    with embedded_aws() as aws:
        assert aws.log_path.with_suffix("").is_dir()
    assert not aws.log_path.exists()
    assert not aws.log_path.with_suffix("").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_when_its_starter_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        "import time\nfrom pathlib import Path\nfrom pushlane.local.launcher import embedded_aws\n"
        "with embedded_aws(log_path=Path('aws.log').absolute()) as aws:\n"
        "    print(aws.pid, flush=True)\n    time.sleep(60)\n"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    starter = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    try:
        assert process(pid) is not None
        starter.send_signal(number)
        starter.communicate(timeout=WAIT_SECONDS)
        assert eventually(lambda: group_members(pid) == [])
    finally:
        end_group(pid)


def test_a_taken_port_is_named_with_its_owner() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(PortTaken, match=rf"port {port} is taken by .*pid {os.getpid()}.*--port") as caught,
            embedded_aws(port=port),
        ):
            pass
    assert caught.value.port == port


def test_up_leaves_it_running_and_down_ends_it_with_its_workers(state_dir: Path) -> None:
    aws = start(state_dir, port=free_port())
    start_a_worker(aws)
    assert start(state_dir, port=free_port()) == aws
    assert status(state_dir) == aws
    assert stop(state_dir)
    assert group_members(aws.pid) == []
    assert status(state_dir) is None
    assert not (state_dir / "data").exists()
    assert not stop(state_dir)


def test_down_ends_the_workers_of_a_killed_emulator(state_dir: Path) -> None:
    aws = start(state_dir, port=free_port())
    start_a_worker(aws)
    os.kill(aws.pid, signal.SIGKILL)
    assert eventually(lambda: process(aws.pid) is None)
    assert status(state_dir) is None
    assert stop(state_dir)
    assert group_members(aws.pid) == []


def test_down_leaves_a_stranger_with_the_same_pid_alone(state_dir: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as stranger:
        recorded = Running(
            pid=stranger.pid, process_started="0", port=1, region="us-east-1", started_at="", log_path="aws.log"
        )
        write(state_dir, recorded)
        assert stop(state_dir)
        assert stranger.poll() is None
        stranger.kill()
    assert read(state_dir) is None


def test_a_broken_state_file_is_named(state_dir: Path) -> None:
    state_dir.mkdir()
    (state_dir / "local-aws.json").write_text("{")
    with pytest.raises(StateUnreadable, match=r"local-aws\.json is not readable"):
        status(state_dir)
    (state_dir / "local-aws.json").unlink()


def test_an_emulator_that_ends_at_start_shows_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/cat")
    log = tmp_path / "aws.log"
    child = emulator.spawn(emulator.EmulatorSettings(), free_port(), tmp_path, log)
    with pytest.raises(EmulatorFailed, match=r"ended at start with status 1(.|\n)*invalid option"):
        emulator.wait_until_healthy(child, free_port(), log)


def test_nothing_of_the_user_reaches_the_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    made = emulator.environment(emulator.EmulatorSettings(), 4566, tmp_path)
    assert made["BIND_HOST"] == HOST
    assert made["HOME"] == str(tmp_path)
    assert not any(name.startswith("AWS_") for name in made)
