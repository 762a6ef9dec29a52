"""Which addresses are of the public internet: what strangers name is connected to nowhere else.

Sources: IANA's IPv4 and IPv6 special-purpose registries (RFC 6890 and its updates). Only what is
known to be public is allowed: of IPv6 the global unicast block without the parts of it that carry
IPv4 addresses or are set aside.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network; 0.0.0.0 reaches the machine itself
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers; a cloud's metadata service too
            "127.0.0.0/8",
            "168.63.129.16/32",  # a cloud's own service, in public space
            "169.254.0.0/16",  # link-local; metadata services
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays to IPv6
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
"""Loopback, mapped and translated IPv4, unique local, link-local and multicast are all outside of it."""

_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, which carries IPv4, and other protocols' own
            "2001:db8::/32",
            "2002::/16",  # 6to4, which carries IPv4
            "3fff::/20",
        ),
    )
)


def is_public(text: str) -> bool:
    """Whether an address, as the resolver gives it, is of the public internet.

    >>> is_public("93.184.215.14"), is_public("169.254.169.254"), is_public("::ffff:93.184.215.14")
    (True, False, False)
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return _is_public_6(address)


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None or address not in _PUBLIC_6:
        return False
    return not any(address in network for network in _NOT_PUBLIC_6)
