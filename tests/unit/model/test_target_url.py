"""Which URLs we call: the form, and the addresses that a name may lead to."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.target_url import InvalidTarget, Target, TargetRules, require_callable, target_of

LOCAL = TargetRules(allow_local=True)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target(scheme="https", host="example.com", port=443, path="/")),
        ("https://EXAMPLE.com:8443/a?b=c", Target(scheme="https", host="example.com", port=8443, path="/a?b=c")),
        ("https://93.184.216.34/x", Target(scheme="https", host="93.184.216.34", port=443, path="/x")),
        ("https://[2606:4700:0::1]/", Target(scheme="https", host="2606:4700::1", port=443, path="/")),
        ("https://xn--mnchen-3ya.de/?", Target(scheme="https", host="xn--mnchen-3ya.de", port=443, path="/")),
    ],
)
def test_a_public_url_is_taken_apart(url: str, target: Target) -> None:
    assert target_of(url) == target


def test_the_host_header_says_the_port_only_where_it_is_not_the_usual_one() -> None:
    assert target_of("https://a.example:443/").authority == "a.example"
    assert target_of("https://a.example:8443/").authority == "a.example:8443"
    assert target_of("https://[2606:4700::1]:8443/").authority == "[2606:4700::1]:8443"


REFUSED = [
    "",
    "example.com",
    "//example.com/",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https://",
    "https:///path",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://example.com@169.254.169.254/",
    "https://example.com/#fragment",
    "https://example.com/a b",
    "https://example.com/\r\nx-injected: 1",
    "https://example.com\\@127.0.0.1/",
    "https://münchen.de/",
    "https://example.com:80/",
    "https://example.com:22/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:x/",
    "https://example.com./",
    "https://.example.com/",
    "https://a..b/",
    "https://-a.example/",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 130 + "example/",
    "https://localhost/",
    "https://metadata/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://0177.0.0.01/",
    "https://127.0.0.1.0x1/",
    "https://1.2.3.4.5/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://192.88.99.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::808:808]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1%25eth0]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[::1/",
    "https://[v1.x]/",
    "https://example.com/" + "a" * 2_048,
]


@pytest.mark.parametrize("url", REFUSED)
def test_what_may_lead_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(InvalidTarget):
        target_of(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566/x", "https://localhost:9000/", "http://[::1]:80/"])
def test_at_stage_local_this_machine_may_be_called(url: str) -> None:
    assert target_of(url, LOCAL).port


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://169.254.169.254/", "ftp://127.0.0.1/", "http://2130706433/"]
)
def test_at_stage_local_nothing_else_private_may_be(url: str) -> None:
    with pytest.raises(InvalidTarget):
        target_of(url, LOCAL)


def test_other_ports_can_be_configured() -> None:
    assert target_of("https://example.com:9443/", TargetRules(ports=(9443,))).port == 9443
    with pytest.raises(InvalidTarget, match="9443"):
        target_of("https://example.com/", TargetRules(ports=(9443,)))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_means_the_same_however_it_is_wrapped(address: ipaddress.IPv4Address) -> None:
    def callable_(one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        try:
            require_callable(one)
        except InvalidTarget:
            return False
        return True

    plain = callable_(address)
    assert plain <= address.is_global
    assert callable_(ipaddress.IPv6Address(f"::ffff:{address}")) is plain
    assert callable_(ipaddress.IPv6Address(f"64:ff9b::{address}")) is plain
    assert not callable_(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80)))


@given(st.text(max_size=60))
def test_no_text_breaks_the_check(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/x", f"https://example.com/{text}"):
        try:
            target = target_of(url)
        except InvalidTarget:
            continue
        assert target.scheme == "https"
        assert target.port in (443, 8443)
        assert target.host.isascii()
