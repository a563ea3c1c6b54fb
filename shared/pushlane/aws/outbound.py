"""POST to URLs that others gave us, so that nobody can make us call what only we can reach (SSRF).

The name is resolved once; if any of its addresses is not public, none is called; and the connection goes to an address
that was checked, with the name in TLS and `Host`. So a name that resolves differently a moment later gains nothing.
Redirects are not followed. The whole exchange has one deadline, and of the answer only so much is read.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from pushlane.model.target_url import (
    PUBLIC_ONLY,
    Address,
    Answer,
    Target,
    TargetRules,
    TargetUnreachable,
    require_callable,
    target_of,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

ANSWER_BYTES_MAX: Final = 64 * 1024
TIMEOUT_SECONDS: Final = 10.0
_ADDRESSES_MAX: Final = 3
_RESOLVERS: Final = 4
_SEND_BYTES: Final = 64 * 1024

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, by the system's resolver; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def connect(address: str, port: int, timeout_seconds: float) -> socket.socket:
    """A TCP connection to an address; raises `OSError`, also for a name, which is never resolved here."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.inet_pton(family, address)
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout_seconds)
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


class Outbound:
    """Calls by POST. `resolve` and `connect` are the system's; tests give their own. `tls` verifies names."""

    def __init__(
        self,
        rules: TargetRules = PUBLIC_ONLY,
        *,
        resolve: Resolve = resolve,
        connect: Connect = connect,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._connect = connect
        self._tls = tls or _verifying()
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        # A resolver cannot be told to hurry, so it is waited for elsewhere.
        self._resolvers = ThreadPoolExecutor(max_workers=_RESOLVERS, thread_name_prefix="resolve")

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body`; raises `InvalidTarget` when the URL or an address of it may not be called, and
        `TargetUnreachable` when no answer came within the timeout.
        """
        deadline = _Deadline(self._monotonic, self._timeout_seconds)
        target = target_of(url, self._rules)
        try:
            addresses = self._checked(target, deadline)
            with self._connected(target, addresses, deadline) as connection:
                return _exchanged(connection, target, headers, body, deadline)
        except (
            OSError,
            http.client.HTTPException,
            ValueError,
        ) as error:  # ValueError: a header, an address, a chunk's size
            raise TargetUnreachable(f"{target.authority}: {_why(error)}") from error

    def _checked(self, target: Target, deadline: "_Deadline") -> list[str]:
        waiting: Future[Sequence[str]] = self._resolvers.submit(self._resolve, target.host, target.port)
        found = [ipaddress.ip_address(text) for text in waiting.result(deadline.left())]
        if not found:
            raise OSError("its name has no address")
        _require_all_callable(found, self._rules)
        return [str(address) for address in found[:_ADDRESSES_MAX]]

    def _connected(self, target: Target, addresses: Sequence[str], deadline: "_Deadline") -> socket.socket:
        for place, address in enumerate(addresses, start=1):
            try:
                plain = self._connect(address, target.port, deadline.left())
            except OSError:
                if place == len(addresses):
                    raise
                continue
            return plain if target.scheme == "http" else self._secured(plain, target.host, deadline)
        raise OSError("its name has no address")

    def _secured(self, plain: socket.socket, host: str, deadline: "_Deadline") -> socket.socket:
        try:
            plain.settimeout(deadline.left())  # of the whole handshake, however many reads it takes
            return self._tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


class _Deadline:
    """One moment for the whole exchange."""

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._ends = monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left; raises `TimeoutError` when none are."""
        left = self._ends - self._monotonic()
        if left <= 0:
            raise TimeoutError(f"not done within {self._seconds:g} s")
        return left


class _Reading(io.RawIOBase):
    """A socket's bytes, each read within what is left of the time: a peer that drips gains none."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv_into(buffer)


class _Socket:
    """As much of a socket as `HTTPResponse` asks for."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._reading = _Reading(connection, deadline)

    def makefile(self, *_arguments: object, **_options: object) -> io.BufferedReader:
        return io.BufferedReader(self._reading)


def _exchanged(
    connection: socket.socket, target: Target, headers: Mapping[str, str], body: bytes, deadline: _Deadline
) -> Answer:
    _send(connection, _request(target, headers, body) + body, deadline)
    response = http.client.HTTPResponse(_Socket(connection, deadline), method="POST")  # type: ignore[arg-type]  # it only calls makefile
    response.begin()
    read = response.read(ANSWER_BYTES_MAX + 1)
    said = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=said, body=read[:ANSWER_BYTES_MAX], cut=len(read) > ANSWER_BYTES_MAX)


def _send(connection: socket.socket, data: bytes, deadline: _Deadline) -> None:
    for start in range(0, len(data), _SEND_BYTES):
        connection.settimeout(deadline.left())
        connection.sendall(data[start : start + _SEND_BYTES])


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """The head of the request. Nothing of it can hold a line break: the URL is checked, values are checked here."""
    fields = {
        "host": target.authority,
        "user-agent": "pushlane/1",
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-length": str(len(body)),
        "connection": "close",
        **headers,
    }
    if broken := [name for name, value in fields.items() if not value.isprintable() or not name.isprintable()]:
        raise ValueError(f"the header {broken[0]!r} holds control characters")
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _require_all_callable(addresses: Sequence[Address], rules: TargetRules) -> None:
    for address in addresses:
        require_callable(address, rules)


def _verifying() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
