"""URLs that others give us to call: what one may look like, and which addresses it may lead to.

Two checks that belong together: the form is checked where the URL is taken in, so that its sender hears of it, and the
addresses that its name resolves to at each call (`pushlane.aws.outbound`), because a name can change its mind.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from pushlane.model.errors import PushlaneError

URL_CHARACTERS_MAX: Final = 2_048
PORTS: Final = frozenset({443, 8443})
_HTTPS: Final = 443
_HTTP: Final = 80
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# A last label that is a number makes browsers and C libraries read a host as an IPv4 address: 2130706433, 0x7f.1
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_HOST_CHARACTERS_MAX: Final = 253

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# 6to4 and Teredo lead to an IPv4 address of the sender's choice, through somebody's relay; the others are nobody's
# host, and not every Python's `is_global` knows them.
_NOT_CALLED_6: Final = tuple(map(ipaddress.IPv6Network, ("2002::/16", "2001::/32", "2001:db8::/32", "3fff::/20")))
_NOT_CALLED_4: Final = tuple(map(ipaddress.IPv4Network, ("192.88.99.0/24", "192.0.0.0/24", "100.64.0.0/10")))


class InvalidTarget(PushlaneError):
    """A URL that we will not call, or an address that it may not lead to; the message says why."""


class TargetUnreachable(PushlaneError):
    """No answer: the name does not resolve, nothing listens, TLS fails, the time is up, or what came is no HTTP."""


class Answer(Struct, frozen=True, kw_only=True):
    """What the other side said. `headers` by lower-case name; of the body only the first part is kept when `cut`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False

    @property
    def taken(self) -> bool:
        """A 2xx. A redirect is none: it is not followed."""
        return 200 <= self.status < 300


class TargetRules(Struct, frozen=True, kw_only=True):
    """What may be called. `allow_local`: also http, this machine's loopback and any port; at stage `local` alone."""

    ports: Collection[int] = PORTS
    allow_local: bool = False


class Target(Struct, frozen=True, kw_only=True):
    """A URL in its parts. `host`: a lower-case name, or an IP address without brackets. `path`: with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (_HTTPS if self.scheme == "https" else _HTTP) else f"{host}:{self.port}"


PUBLIC_ONLY: Final = TargetRules()


def target_of(url: str, rules: TargetRules = PUBLIC_ONLY) -> Target:
    """The parts of a URL that may be called as far as its form says; raises `InvalidTarget`."""
    if len(url) > URL_CHARACTERS_MAX:
        raise InvalidTarget(f"longer than {URL_CHARACTERS_MAX} characters")
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise InvalidTarget("write it in visible ASCII without backslashes: percent-encode paths, punycode names")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidTarget(f"not a URL: {error}") from error
    _require_plain(parts, rules)
    bracketed = "[" in parts.netloc
    host = _literal(parts.hostname or "", rules) if bracketed else _host(parts.hostname or "", rules)
    default = _HTTPS if parts.scheme == "https" else _HTTP
    port = default if port is None else port
    if port not in rules.ports and not rules.allow_local:
        raise InvalidTarget(f"port {port} is not called; those that are: {', '.join(map(str, sorted(rules.ports)))}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, port=port, path=path)


def _require_plain(parts: SplitResult, rules: TargetRules) -> None:
    if parts.scheme != "https" and not (rules.allow_local and parts.scheme == "http"):
        raise InvalidTarget("only https is called")
    if "@" in parts.netloc:
        raise InvalidTarget("it carries a user name or password: leave it out, deliveries are signed")
    if parts.fragment:
        raise InvalidTarget("it has a fragment (#...), which is not sent: leave it out")


def _host(host: str, rules: TargetRules) -> str:
    if not host or len(host) > _HOST_CHARACTERS_MAX:
        raise InvalidTarget("it names no host")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _literal(host, rules)
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidTarget("its host is no DNS name")
    if len(labels) == 1 and not rules.allow_local:
        raise InvalidTarget("its host is a name of one part, which only a local network knows")
    return host


def _literal(host: str, rules: TargetRules) -> str:
    """An address written out, in its one canonical form: other spellings mean different hosts to different programs."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidTarget("its host is neither a name nor an address in canonical form") from error
    require_callable(address, rules)
    return str(address)


def require_callable(address: Address, rules: TargetRules = PUBLIC_ONLY) -> None:
    """Raises `InvalidTarget` for an address outside the public unicast Internet, also one wrapped in IPv6."""
    if rules.allow_local and address.is_loopback:
        return
    inner = _wrapped(address)
    plain = address if inner is None else inner
    if not _public(plain):
        raise InvalidTarget("it leads to an address that is not of the public Internet")


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None


def _public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_CALLED_4)
    scoped = address.scope_id is not None
    return not scoped and address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_CALLED_6)
