"""Which addresses a user's webhook may make us connect to: the public internet, and nothing else.

Whoever names an address makes this server speak to it from inside its own network. So everything is
refused that is not plainly somebody's public address, in whatever form it is written; and the check
is made of the very address that is connected to, not of a name that may mean another one by then.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_NEVER_V4: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        # Azure's own services for machines in it, behind an address that looks public.
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
# Global unicast, without what only wraps an IPv4 address (NAT64 and mapped ones lie outside of it).
_PUBLIC_V6: Final = ip_network("2000::/3")
_NEVER_V6: Final = tuple(
    ip_network(network)
    for network in (
        # IETF protocols, Teredo among them.
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
# In any prefix, an IPv4 address follows it.
# Source: RFC 5214, section 6.1.
_ISATAP_MARK: Final = 0x00005EFE


def is_public(address: str) -> bool:
    """Say whether an address is one of the public internet.

    Source: IANA IPv4 and IPv6 special-purpose address registries.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not any(parsed in network for network in _NEVER_V4)
    # The same address on another interface is another machine.
    if parsed.scope_id is not None:
        return False
    return (
        parsed.is_global
        and parsed in _PUBLIC_V6
        and not any(parsed in network for network in _NEVER_V6)
        and not _wraps_v4(parsed)
    )


def is_loopback(address: str) -> bool:
    """Say whether an address is this machine, in its plain form."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback and getattr(parsed, "ipv4_mapped", None) is None


class AddressRefused(OSError):
    """The address is none that a webhook may reach. Says no more."""

    def __init__(self) -> None:
        super().__init__("not a public address")


class AddressGuard:
    """Decides by address. `allow_loopback` is for trying receivers on this machine."""

    def __init__(self, *, allow_loopback: bool = False) -> None:
        self.allow_loopback: Final = allow_loopback

    def permits(self, address: str) -> bool:
        """Say whether this address may be connected to."""
        return is_public(address) or (self.allow_loopback and is_loopback(address))

    def permits_plain_http(self, address: str) -> bool:
        """Say whether a message may go there unencrypted: it never leaves this machine."""
        return self.allow_loopback and is_loopback(address)

    def refuses_literally(self, host: str) -> bool:
        """Say whether a host is written as an address, and as one that may not be reached."""
        try:
            ip_address(host)
        except ValueError:
            return False
        return not self.permits(host)

    def socket_to(self, address: str, family: int, kind: int, protocol: int) -> socket.socket:
        """Return a socket for a connection to this address.

        Raises:
            AddressRefused: it may not be connected to.
        """
        if not self.permits(address):
            raise AddressRefused
        return socket.socket(family, kind, protocol)


def _wraps_v4(address: IPv6Address) -> bool:
    return (int(address) >> 32) & 0xFDFFFFFF == _ISATAP_MARK
