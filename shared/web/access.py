"""Who may call a route. Each says it beside its path, and an application with one that says nothing does not start.

@router.get("/user/balance")
@requires("account:read")
async def show_balance(request: Request) -> Response: ...
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec
from starlette.routing import BaseRoute

from shared.core.scopes import Scope

_ATTRIBUTE = "gateway_access"

# key: an API key or a sign-in; admin: whoever operates the gateway; cron_secret: our own scheduler; public: anyone.
Admits = Literal["key", "admin", "cron_secret", "public"]


class UndeclaredAccess(Exception):
    """A route does not say who may call it: a fault of ours, found when the application is made."""


class Access(msgspec.Struct, frozen=True):
    """Who may call a route; scope is what his key needs, None where any key will do."""

    admits: Admits
    scope: Scope | None = None


def requires[Endpoint: Callable[..., Any]](scope: Scope) -> Callable[[Endpoint], Endpoint]:
    """Let a key call this route that has the scope, or someone who is signed in."""
    return _declare(Access("key", scope))


def requires_any_key[Endpoint: Callable[..., Any]](endpoint: Endpoint) -> Endpoint:
    """Let any key of ours call this route, or someone who is signed in."""
    return _declare(Access("key"))(endpoint)


def requires_admin[Endpoint: Callable[..., Any]](endpoint: Endpoint) -> Endpoint:
    """Let whoever has ADMIN_API_KEY call this route, or a person whose role is admin."""
    return _declare(Access("admin"))(endpoint)


def requires_cron_secret[Endpoint: Callable[..., Any]](endpoint: Endpoint) -> Endpoint:
    """Let our own scheduler call this route."""
    return _declare(Access("cron_secret"))(endpoint)


def public[Endpoint: Callable[..., Any]](endpoint: Endpoint) -> Endpoint:
    """Let anyone call this route."""
    return _declare(Access("public"))(endpoint)


def access_of(route: BaseRoute) -> Access:
    """Return what a route declares.

    raises  UndeclaredAccess
    """
    return access_of_endpoint(getattr(route, "endpoint", None))


def access_of_endpoint(endpoint: object) -> Access:
    """Return what is declared at the function behind a route.

    raises  UndeclaredAccess
    """
    access = getattr(endpoint, _ATTRIBUTE, None)
    if not isinstance(access, Access):
        raise UndeclaredAccess(
            f"{endpoint!r} does not say who may call it: put @requires(scope), @requires_any_key, "
            "@requires_admin, @requires_cron_secret or @public between its path and its function."
        )
    return access


def every_route(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Return the routes of an application and of the routers that it includes."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from every_route(included.routes)


def _declare[Endpoint: Callable[..., Any]](access: Access) -> Callable[[Endpoint], Endpoint]:
    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, access)
        return endpoint

    return declare
