"""Calls to URLs of others, over real TLS on this machine: nothing but a checked public address is ever connected to.

The server listens on loopback, so "public" addresses are led there by the connector that the test gives.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pushlane.aws.outbound import ANSWER_BYTES_MAX, Outbound, connect, resolve
from pushlane.model.target_url import InvalidTarget, TargetRules, TargetUnreachable
from tests.unit.aws.tls_server import (
    HOST,
    OK,
    PUBLIC,
    Certificates,
    Server,
    answering,
    chunked,
    dripping,
    whole_request,
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(certificates: Certificates) -> Iterator[Server]:
    made = Server(certificates)
    yield made
    made.close()


class World:
    """An `Outbound` whose names resolve to what the test says, and whose public addresses are the server."""

    def __init__(self, server: Server, certificates: Certificates) -> None:
        self.server = server
        self.certificates = certificates
        self.answers: list[list[str]] = [[PUBLIC]]
        self.resolved: list[tuple[str, int]] = []
        self.connected: list[tuple[str, int]] = []
        self.dead: set[str] = set()

    def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append((host, port))
        return self.answers[min(len(self.resolved), len(self.answers)) - 1]

    def connect(self, address: str, port: int, timeout_seconds: float) -> socket.socket:
        self.connected.append((address, port))
        if address in self.dead:
            raise ConnectionRefusedError("connection refused")
        return connect("127.0.0.1", self.server.port, timeout_seconds)

    def outbound(self, timeout_seconds: float = 5.0, rules: TargetRules | None = None) -> Outbound:
        return Outbound(
            rules or TargetRules(),
            resolve=self.resolve,
            connect=self.connect,
            tls=self.certificates.trusting(),
            timeout_seconds=timeout_seconds,
        )


@pytest.fixture
def world(server: Server, certificates: Certificates) -> World:
    return World(server, certificates)


def test_a_body_is_posted_over_tls_to_the_checked_address_under_the_name(world: World) -> None:
    answer = world.outbound().post(f"https://{HOST}/in?a=b", {"content-type": "application/json"}, b'{"a": 1}')
    assert (answer.status, answer.body, answer.headers["x-said"], answer.cut) == (200, b"ok", "yes", False)
    assert (world.connected, world.server.names) == ([(PUBLIC, 443)], [HOST])
    [heard] = world.server.heard
    assert heard.startswith(b"POST /in?a=b HTTP/1.1\r\nhost: hooks.example\r\n")
    assert heard.endswith(b'\r\n\r\n{"a": 1}')


def test_a_large_body_arriveswhole_request(world: World) -> None:
    body = bytes(range(256)) * 1_200
    assert world.outbound().post(f"https://{HOST}/", {}, body).status == 200
    assert world.server.heard[0].endswith(body)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["10.0.0.7", PUBLIC],
        [PUBLIC, "169.254.169.254"],
        ["::1"],
        ["fd00:ec2::254"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:a00:1::"],
        ["fe80::1%eth0"],
        ["0.0.0.0"],
    ],
)
def test_a_name_with_any_private_address_is_not_called(world: World, addresses: list[str]) -> None:
    world.answers = [addresses]
    with pytest.raises(InvalidTarget):
        world.outbound().post(f"https://{HOST}/", {}, b"")
    assert world.connected == []


def test_a_name_that_resolves_differently_a_moment_later_gains_nothing(world: World) -> None:
    world.answers = [[PUBLIC], ["127.0.0.1"]]
    outbound = world.outbound()
    assert outbound.post(f"https://{HOST}/", {}, b"").status == 200
    assert (world.resolved, world.connected) == ([(HOST, 443)], [(PUBLIC, 443)])
    with pytest.raises(InvalidTarget):
        outbound.post(f"https://{HOST}/", {}, b"")
    assert len(world.connected) == 1


def test_the_system_connector_resolves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(OSError, match="illegal IP address"):
        connect("localhost", listening.getsockname()[1], 1.0)


def test_the_next_address_is_tried_when_one_does_not_listen(world: World) -> None:
    world.answers, world.dead = [["2606:4700::1", PUBLIC]], {"2606:4700::1"}
    assert world.outbound().post(f"https://{HOST}:8443/", {}, b"").status == 200
    assert world.connected == [("2606:4700::1", 8443), (PUBLIC, 8443)]
    world.dead = {"2606:4700::1", PUBLIC}
    with pytest.raises(TargetUnreachable, match="refused"):
        world.outbound().post(f"https://{HOST}/", {}, b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(world: World, status: int) -> None:
    head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: https://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    world.server.serve = answering(head.encode())
    assert world.outbound().post(f"https://{HOST}/", {}, b"").status == status
    assert len(world.resolved) == len(world.connected) == 1


def test_a_certificate_of_another_name_or_authority_is_refused(world: World) -> None:
    with pytest.raises(TargetUnreachable, match="certificate"):
        world.outbound().post("https://other.example/", {}, b"")
    stranger = Outbound(resolve=world.resolve, connect=world.connect)
    with pytest.raises(TargetUnreachable, match="certificate"):
        stranger.post(f"https://{HOST}/", {}, b"")
    assert world.server.heard == []


def test_an_address_in_the_url_needs_its_own_certificate(world: World) -> None:
    world.answers = [[PUBLIC]]
    assert world.outbound().post(f"https://{PUBLIC}/", {}, b"").status == 200


@pytest.mark.parametrize(
    "url",
    [f"http://{HOST}/", f"https://x@{HOST}/", f"https://{HOST}:22/", "https://2130706433/", "https://0177.0.0.1/"],
)
def test_a_url_of_the_wrong_form_is_not_even_resolved(world: World, url: str) -> None:
    with pytest.raises(InvalidTarget):
        world.outbound().post(url, {}, b"")
    assert (world.resolved, world.connected) == ([], [])


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    ],
    ids=["head", "body", "continues"],
)
def test_a_peer_that_drips_meets_the_deadline_of_thewhole_request(world: World, data: bytes) -> None:
    world.server.serve = dripping(data, 0.02)
    began = time.monotonic()
    with pytest.raises(TargetUnreachable):
        world.outbound(timeout_seconds=0.6).post(f"https://{HOST}/", {}, b"")
    assert time.monotonic() - began < 3


def test_a_peer_that_never_begins_tls_meets_the_deadline(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        outbound = Outbound(
            resolve=world.resolve,
            connect=lambda _address, _port, seconds: connect("127.0.0.1", port, seconds),
            timeout_seconds=0.3,
        )
        began = time.monotonic()
        with pytest.raises(TargetUnreachable):
            outbound.post(f"https://{HOST}/", {}, b"")
        assert time.monotonic() - began < 3


def test_a_resolver_that_hangs_meets_the_deadline(world: World) -> None:
    released = threading.Event()

    def hanging(_host: str, _port: int) -> list[str]:
        released.wait(10)
        return [PUBLIC]

    with pytest.raises(TargetUnreachable):
        Outbound(resolve=hanging, connect=world.connect, timeout_seconds=0.2).post(f"https://{HOST}/", {}, b"")
    released.set()
    assert world.connected == []


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 200_000,
        chunked(*[b"a" * 1_000] * 200),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 200_000,
    ],
    ids=["length", "chunked", "until the end"],
)
def test_of_a_large_answer_only_the_first_part_is_read(world: World, data: bytes) -> None:
    world.server.serve = answering(data)
    answer = world.outbound().post(f"https://{HOST}/", {}, b"")
    assert (answer.status, answer.body, answer.cut) == (200, b"a" * ANSWER_BYTES_MAX, True)


def test_a_chunked_answer_is_read(world: World) -> None:
    world.server.serve = answering(chunked(b"a", b"bc"))
    assert world.outbound().post(f"https://{HOST}/", {}, b"").body == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 500 + b"\r\n",
        chunked(b"a", end=b"zz\r\n"),
    ],
    ids=["nothing", "no http", "no status", "long header", "many headers", "broken chunk"],
)
def test_what_is_no_answer_is_none(world: World, data: bytes) -> None:
    world.server.serve = answering(data)
    with pytest.raises(TargetUnreachable):
        world.outbound().post(f"https://{HOST}/", {}, b"")


def test_a_header_cannot_smuggle_a_line(world: World) -> None:
    with pytest.raises(TargetUnreachable, match="control"):
        world.outbound().post(f"https://{HOST}/", {"x": "a\r\nb: c"}, b"")
    assert world.server.heard == []


def test_at_stage_local_loopback_is_called_without_tls() -> None:
    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            whole_request(connection)
            connection.sendall(OK)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        assert Outbound(TargetRules(allow_local=True)).post(url, {}, b"x").status == 200
    with pytest.raises(InvalidTarget):
        Outbound().post(url, {}, b"x")


def test_the_system_resolver_says_every_address_once() -> None:
    found = resolve("localhost", 80)
    assert found
    assert len(found) == len(set(found))
    assert {ipaddress.ip_address(one).is_loopback for one in found} == {True}
