"""What may be written into a key's settings: pure rules, each with words that say what to write instead.

Every function returns the setting in its one canonical form and raises ValueError for what cannot be one.
"""

import ipaddress
import re
from decimal import Decimal

from shared.core.money import Nanos, nanos_from_dollars

MAX_LIST_LENGTH = 100
MAX_NAME_LENGTH = 100
MAX_GLOB_LENGTH = 200
MAX_REQUESTS = 10**12
MAX_DAYS = 3650
# The books count in 64 bits; nobody means a limit of more than this.
MAX_SPEND_DOLLARS = 1_000_000_000
MAX_REQUESTS_PER_MINUTE = 1_000_000
MAX_TOKENS_PER_MINUTE = 1_000_000_000
MAX_CONCURRENCY = 10_000
# How long a secret that a rotation by schedule replaces goes on working, and so the shortest time between two.
OVERLAP_HOURS_BY_SCHEDULE = 7 * 24
MIN_ROTATION_DAYS = 7
MAX_ROTATION_DAYS = 365
MAX_OVERLAP_HOURS = 7 * 24

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAX_HOST_LENGTH = 253
_GLOB = re.compile(r"[!-~]+")
_AMOUNT = re.compile(r"\d{1,10}(?:\.\d{1,9})?", re.ASCII)


def read_name(text: str) -> str:
    """Return a key's name, without the spaces around it."""
    name = text.strip()
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise ValueError(f"must be 1 to {MAX_NAME_LENGTH} characters that can be seen")
    return name


def read_network(text: str) -> str:
    """Return an address or a network as the database writes it: `192.0.2.7/32`, `2001:db8::/32`.

    An IPv4 network in IPv6's clothes is the IPv4 network: that is how a client's address is read, too.
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
        interface = ipaddress.ip_interface(text.strip())
    except ValueError:
        raise ValueError("must be an IP address or a network such as 192.0.2.0/24 or 2001:db8::/32") from None
    if "%" in text:
        raise ValueError("must be an address without a zone, which means something on one machine only")
    if interface.ip != network.network_address:
        raise ValueError(f"has bits set beyond its prefix: for the whole network write {network}")
    return str(_without_mapping(network))


def read_domain(text: str) -> str:
    """Return a host, or `*.` before one for all hosts below it, in lower case."""
    domain = text.strip().lower()
    if not domain.isascii():
        raise ValueError("must be written as browsers send it, in Punycode (xn--…)")
    host = domain.removeprefix("*.")
    if len(host) > _MAX_HOST_LENGTH or not _HOST.fullmatch(host):
        raise ValueError("must be a host such as example.com or *.example.com, without scheme, port or path")
    if host != domain and "." not in host:
        raise ValueError(f"would allow all of .{host}: name at least one more label, such as *.example.{host}")
    return domain


def read_model_glob(text: str) -> str:
    """Return a pattern of model ids, in which `*` alone is special."""
    if len(text) > MAX_GLOB_LENGTH or not _GLOB.fullmatch(text):
        raise ValueError(f"must be a model's id or a pattern such as openai/*, of 1 to {MAX_GLOB_LENGTH} characters")
    return text


def read_spend_amount(amount: str | int) -> Nanos:
    """Return a limit in nano-dollars from a decimal string or a whole number of US dollars."""
    text = str(amount)
    if not _AMOUNT.fullmatch(text) or not 0 < Decimal(text) <= MAX_SPEND_DOLLARS:
        raise ValueError(
            f'must be US dollars as a decimal string such as "25.50", above 0 and up to {MAX_SPEND_DOLLARS}'
        )
    return nanos_from_dollars(Decimal(text))


def _without_mapping(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
