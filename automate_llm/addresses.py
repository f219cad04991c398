"""Which network addresses may be dialled."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

from .exceptions import AddressRefused

IPAddress = IPv4Address | IPv6Address

# Services that hand out a machine's own credentials to whoever asks from inside.
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",  # AWS, Google Cloud, Azure, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS ECS tasks
        "169.254.170.23",  # AWS EKS pods
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's host
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS EKS pods over IPv6
        "fd20:ce::254",  # Google Cloud over IPv6
    )
)

# IPv6 addresses whose last 32 bits are the IPv4 address that they lead to (RFC 6052, 2765, 4291).
_CARRYING_IPV4 = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
# What no version of Python's `is_global` calls private, and is (RFC 3879, 8215).
_ALSO_PRIVATE = tuple(map(ipaddress.ip_network, ("fec0::/10", "64:ff9b:1::/48")))


def check_address(
    address: str, host: str, port: int, private_hosts: frozenset[str] | None
) -> IPAddress:
    """Return the address where it may be dialled for this host.

    `host` and `port` are those of the endpoint, as an operator wrote them: they decide whether
    a private address is expected. `private_hosts` is explained at `Connection`.

    Raises:
        AddressRefused: a cloud's metadata service, or an address that is not public.
    """
    ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    if ip in METADATA_ADDRESSES:
        raise AddressRefused(
            f"Connection error: {host!r} leads to a cloud metadata address, which is never dialled."
        )
    if ip.is_multicast or ip.is_unspecified:
        raise AddressRefused(f"Connection error: {host!r} leads to an address that is no host's.")
    public = ip.is_global and not any(ip in network for network in _ALSO_PRIVATE)
    if public or private_hosts is None:
        return ip
    if {host.lower(), f"{host.lower()}:{port}"} & {name.lower() for name in private_hosts}:
        return ip
    raise AddressRefused(
        f"Connection error: {host!r} leads to the private address {ip}. If that is meant, add "
        f"'{host}:{port}' to AUTOMATE['MCP_PRIVATE_HOSTS'].",
        private_host=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
    )


def _unwrapped(ip: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 one that only carries it (also RFC 3056, 4380)."""
    if isinstance(ip, IPv4Address) or ip.is_loopback or ip.is_unspecified:
        return ip
    inner = ip.ipv4_mapped or ip.sixtofour
    if inner is None and any(ip in network for network in _CARRYING_IPV4):
        inner = IPv4Address(int(ip) & 0xFFFFFFFF)
    if inner is None and ip.teredo is not None:
        inner = ip.teredo[1]
    return inner or ip
