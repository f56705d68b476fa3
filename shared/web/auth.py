"""Who is calling: the key from the headers, the address from where the platform vouches for it."""

import ipaddress
import json
from typing import assert_never
from urllib.parse import urlsplit

from starlette.requests import Request

from shared.core.settings import AddressSource
from shared.flows.inference import Caller
from shared.keys.fingerprint import fingerprints
from shared.keys.format import MissingApiKey, parse_secret
from shared.web.context import context_of


def authenticate(request: Request, secret_keys: tuple[str, ...], address_source: AddressSource) -> Caller:
    """Read the caller's key; whether it exists, and what it may do, admission says.

    raises  MissingApiKey; InvalidApiKey for a mistyped one, without a look-up
    """
    key = parse_secret(_presented_secret(request))
    return Caller(
        fingerprints=fingerprints(key.secret, secret_keys),
        environment=key.environment,
        address=client_address(request, address_source),
        origin_host=_origin_host(request),
        received_s=context_of(request.scope).received_s,
    )


def client_address(request: Request, source: AddressSource) -> str | None:
    """Return the client's address as this platform vouches for it; any other header may be forged.

    shape   None where the platform does not say; a key with an allowlist is then refused

    source  https://vercel.com/docs/headers/request-headers (x-vercel-forwarded-for is overwritten by the platform);
            https://github.com/aws/aws-lambda-web-adapter (x-amzn-request-context is set by the adapter)
    """
    match source.platform:
        case "direct":
            return _read_address(request.client.host if request.client else "")
        case "proxy":
            return _read_address(_forwarded_address(request, source.trusted_proxies))
        case "vercel":
            return _read_address(request.headers.get("x-vercel-forwarded-for", "").split(",")[0].strip())
        case "lambda":
            return _read_address(_lambda_address(request))
        case _:
            assert_never(source.platform)


def _read_address(text: str) -> str | None:
    """Return the address in its canonical form: IPv4 as such where a dual-stack socket wrote it as IPv6,

    and without an IPv6 zone, which means something on one machine only.
    """
    try:
        address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _forwarded_address(request: Request, trusted_proxies: int) -> str:
    """Return what the outermost of our proxies wrote; what stands left of it came with the request.

    source  https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address
    """
    entries = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    return entries[-trusted_proxies].strip() if len(entries) >= trusted_proxies else ""


def _lambda_address(request: Request) -> str:
    """Return what API Gateway or the Function URL says, from the event itself or from the web adapter's header.

    A function that is called with events has no adapter to overwrite the header: there a client may have sent it.
    """
    event = request.scope.get("aws.event")
    try:
        context = event["requestContext"] if event else json.loads(request.headers.get("x-amzn-request-context", "{}"))
        address = context.get("http", context.get("identity", {})).get("sourceIp", "")
    except (ValueError, KeyError, AttributeError, RecursionError):
        return ""
    return address if isinstance(address, str) else ""


def _presented_secret(request: Request) -> str:
    authorization = request.headers.get("authorization", "")
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    secret = request.headers.get("x-api-key", "").strip()
    if not secret:
        raise MissingApiKey
    return secret


def _origin_host(request: Request) -> str | None:
    """Return the host of Origin, else of Referer, in lower case."""
    for header in ("origin", "referer"):
        value = request.headers.get(header)
        if value:
            try:
                return urlsplit(value).hostname
            except ValueError:
                return None
    return None
