"""Which addresses a webhook may reach: every form of a private one is refused."""

import socket

import pytest

from backend.app.services.webhooks.address_guard import (
    AddressGuard,
    AddressRefused,
    is_loopback,
    is_public,
)

PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:831::200e")
NEVER = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:10.0.0.1",
    "2606:4700:4700::1111%eth0",
    # No addresses at all, though some libraries read them as such.
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "localhost",
    "",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert AddressGuard().permits(address)


@pytest.mark.parametrize("address", NEVER)
def test_no_other_address_may_be_reached(address: str) -> None:
    assert not AddressGuard().permits(address)


@pytest.mark.parametrize("address", NEVER)
def test_loopback_lets_nothing_in_but_this_machine(address: str) -> None:
    permitted = AddressGuard(allow_loopback=True).permits(address)

    assert permitted == ((address.startswith("127.") and len(address) > 5) or address == "::1")
    assert permitted == is_loopback(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_only_this_machine_may_be_told_in_the_clear(address: str) -> None:
    guard = AddressGuard(allow_loopback=True)

    assert is_public(address)
    assert not guard.permits_plain_http(address)
    assert guard.permits_plain_http("127.0.0.1")
    assert not AddressGuard().permits_plain_http("127.0.0.1")


def test_a_name_is_not_judged_by_its_letters() -> None:
    assert not AddressGuard().refuses_literally("localhost")
    assert AddressGuard().refuses_literally("127.0.0.1")
    assert not AddressGuard().refuses_literally("8.8.8.8")


def test_no_socket_is_made_for_an_address_that_may_not_be_reached() -> None:
    with pytest.raises(AddressRefused):
        AddressGuard().socket_to("127.0.0.1", socket.AF_INET, socket.SOCK_STREAM, 0)
