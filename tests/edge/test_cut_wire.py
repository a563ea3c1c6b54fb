"""The wire that can be cut: whole while it is not, broken just where it is told to."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.edge.cut_wire import Wire, wire

ANSWER = b"0123456789" * 100


@pytest.fixture
def answering() -> Iterator[int]:
    """A port that answers each message with ANSWER."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                caller, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(caller,), daemon=True).start()

    def answer(caller: socket.socket) -> None:
        with caller:
            while caller.recv(100):
                caller.sendall(ANSWER)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def ask(opened: Wire) -> tuple[bytes, bool]:
    """What came back, and whether the connection broke before all was there."""
    heard = b""
    with socket.create_connection(("127.0.0.1", opened.port), timeout=5) as caller:
        caller.sendall(b"?")
        try:
            while len(heard) < len(ANSWER):
                part = caller.recv(1_000)
                if not part:
                    return heard, True
                heard += part
        except ConnectionResetError:
            return heard, True
    return heard, False


def test_what_is_not_cut_comes_through_whole(answering: int) -> None:
    with wire(answering) as opened:
        assert ask(opened) == (ANSWER, False)
        assert opened.cuts == 0


def test_an_answer_breaks_in_its_middle_once(answering: int) -> None:
    with wire(answering) as opened:
        opened.cut_behind(b"789", 3)
        heard, broke = ask(opened)
        assert broke
        assert heard in (b"", ANSWER[:13])  # a reset may overtake what was sent before it
        assert ask(opened) == (ANSWER, False)
        assert opened.cuts == 1


def test_open_connections_are_cut(answering: int) -> None:
    with wire(answering) as opened, socket.create_connection(("127.0.0.1", opened.port), timeout=5) as caller:
        caller.sendall(b"?")
        while len(caller.recv(1_000)) == 0:
            pass
        assert opened.cut() == 1
        with pytest.raises((ConnectionResetError, BrokenPipeError, TimeoutError)):  # noqa: PT012  # the reset comes a moment later
            for _ in range(100):
                caller.sendall(b"?")
                if not caller.recv(1_000):
                    raise ConnectionResetError
