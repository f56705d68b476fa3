"""Which callers count as one network address."""

import ipaddress

# A household or a rented server is given a whole /64, so counting single IPv6 addresses would count nothing.
# source: RFC 6177 and RFC 4291, section 2.5.4
IPV6_PREFIX_LENGTH = 64


def address_group(address: str) -> str:
    """Return the name under which an address is counted: IPv4 whole, IPv6 by its /64, anything else together."""
    try:
        parsed = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return "other"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX_LENGTH), strict=False))
