"""Which addresses are refused, in whatever form they are written."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.delivery.address import objection, resolve
from espf.delivery.errors import AddressRefused

METADATA = ["169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"]
NEVER = [
    *METADATA,
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "255.255.255.255",
    "::ffff:169.254.169.254",
    "::ffff:100.100.100.200",
    "::ffff:0.0.0.0",
    "::ffff:255.255.255.255",
    "64:ff9b::169.254.169.254",
]


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_are_refused_whatever_is_allowed(text) -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert "always refused" in (objection(ip_address(text), ()) or "")
    assert "always refused" in (objection(ip_address(text), everything) or "")


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd00::1", "93.184.216.34", "2001:db8::1"],
)
def test_loopback_private_and_public_addresses_are_allowed_by_default(text) -> None:
    assert objection(ip_address(text), ()) is None


def test_allowed_networks_narrow() -> None:
    allowed = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert objection(ip_address("10.9.9.9"), allowed) is None
    assert objection(ip_address("fd01::1"), allowed) is None
    assert objection(ip_address("::ffff:10.9.9.9"), allowed) is None
    assert "AllowedNetworks" in (objection(ip_address("127.0.0.1"), allowed) or "")
    assert "AllowedNetworks" in (objection(ip_address("2001:db8::1"), allowed) or "")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_inside_ipv6(address: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    assert (objection(mapped, ()) is None) == (objection(address, ()) is None)


@given(st.ip_addresses(), st.ip_addresses())
def test_who_is_allowed_one_address_reaches_no_other(allowed, other) -> None:
    network = (ip_network(allowed),)
    if objection(other, network) is None:
        assert other == allowed or getattr(other, "ipv4_mapped", None) == allowed


@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9fea9fe", "2852039166", "0"])
async def test_other_ways_to_write_an_address_do_not_get_around(host) -> None:
    with pytest.raises(AddressRefused):
        await resolve(host, 80, ())


async def test_a_name_resolves_to_the_addresses_that_are_allowed() -> None:
    assert [str(a) for a in await resolve("127.0.0.1", 80, ())] == ["127.0.0.1"]
    with pytest.raises(AddressRefused, match="outside the allowed networks"):
        await resolve("127.0.0.1", 80, (ip_network("10.0.0.0/8"),))
