"""Who is calling: the key from the headers, the address from where the platform vouches for it."""

import hmac
import ipaddress
import json
import re
from typing import Protocol, assert_never
from urllib.parse import urlsplit

from starlette.requests import Request

from shared.core.admin import Admin
from shared.core.caller import Caller
from shared.core.ids import KeyEnvironment, PrivyId
from shared.core.platform import AddressSource
from shared.core.scopes import Scope
from shared.keys.fingerprint import fingerprints, session_fingerprints
from shared.keys.format import InvalidApiKey, MissingApiKey, parse_secret
from shared.web.access import access_of_endpoint
from shared.web.calling_app import read_calling_app
from shared.web.context import context_of

# A JWT; one without a signature too, so that whoever forged it reads what a token needs.
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)

_READING = frozenset({"GET", "HEAD"})
_WEB_SCHEMES = frozenset({"http", "https"})
_UNCLEAR = frozenset("@\\")


class PrivyVerifier(Protocol):
    """Who tells whether an access token is Privy's."""

    async def verify_access_token(self, token: str) -> PrivyId:
        """Return whose it is; raises InvalidToken, IdentityProviderUnavailable."""
        ...


class Authenticator:
    """Reads who is calling; whether his key exists, and what it may do, the database says.

    privy: None where nobody can sign in
    """

    def __init__(
        self, secret_keys: tuple[str, ...], address_source: AddressSource, privy: PrivyVerifier | None
    ) -> None:
        self._secret_keys = secret_keys
        self._address_source = address_source
        self._privy = privy

    async def caller_of(self, request: Request) -> Caller:
        """Read the caller's key, or the access token of someone who is signed in; what he needs, his route declares.

        raises  MissingApiKey; InvalidApiKey for a mistyped key, InvalidToken for a token that is not Privy's for us,
                both without a look-up; IdentityProviderUnavailable
        """
        access = access_of_endpoint(request.scope["endpoint"])
        if access.admits != "key":
            raise TypeError(f"a route that is declared {access.admits} has no caller")
        _forbid_caching(request)
        return await self._read_caller(request, _presented_secret(request), access.scope)

    async def admin_of(self, request: Request, admin_api_key: str | None) -> Admin:
        """Read who operates: by ADMIN_API_KEY, where there is one, or by his own key or access token.

        raises  as caller_of
        """
        access = access_of_endpoint(request.scope["endpoint"])
        if access.admits != "admin":
            raise TypeError(f"a route that is declared {access.admits} is not for admins")
        _forbid_caching(request)
        request_id = context_of(request.scope).request_id
        secret, address = _presented_secret(request), client_address(request, self._address_source)
        if admin_api_key is not None and hmac.compare_digest(secret.encode(), admin_api_key.encode()):
            return Admin(caller=None, address=address, request_id=request_id)
        # What he may do follows from his role; the limiter counts a change before it is made.
        scope: Scope = "account:read" if request.method in _READING else "account:write"
        caller = await self._read_caller(request, secret, scope)
        return Admin(caller=caller, address=address, request_id=request_id)

    async def _read_caller(self, request: Request, secret: str, scope: Scope | None) -> Caller:
        context = context_of(request.scope)
        fingerprints_, environment, is_session = await self._identify(secret)
        return Caller(
            fingerprints=fingerprints_,
            scope=scope,
            environment=environment,
            address=client_address(request, self._address_source),
            origin_host=_origin_host(request),
            request_id=context.request_id,
            is_session=is_session,
            received_s=context.received_s,
            app=read_calling_app(request.headers),
        )

    async def _identify(self, secret: str) -> tuple[tuple[str, ...], KeyEnvironment, bool]:
        """Return fingerprints, environment, and whether it is a sign-in."""
        if _TOKEN.fullmatch(secret):
            if self._privy is None:
                raise InvalidApiKey
            privy_id = await self._privy.verify_access_token(secret)
            return session_fingerprints(privy_id, self._secret_keys), "live", True
        key = parse_secret(secret)
        return fingerprints(key.secret, self._secret_keys), key.environment, False


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


def _forbid_caching(request: Request) -> None:
    """Have no cache on the way keep the answer: whatever somebody is answered is his alone."""
    context_of(request.scope).answer_headers["Cache-Control"] = "no-store"


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
    value = request.headers.get("origin") or request.headers.get("referer")
    return _host_of(value) if value else None


def _host_of(address: str) -> str | None:
    """Return the host of a web page's address, as a browser has it; None for what no browser calls an origin."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    # A browser ends the host at a backslash, and shows nobody's name in front of it: parsers differ over both.
    if parts.scheme not in _WEB_SCHEMES or not _UNCLEAR.isdisjoint(parts.netloc):
        return None
    # With a dot at its end it is the same host.
    return (parts.hostname or "").removesuffix(".") or None
