"""The double's server: Stripe's API under /v1, the pages for people, `/_control` for tests."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from infra.local.ports import LOOPBACK
from infra.local.stripe_double.account import Account, open_account
from infra.local.stripe_double.api import Call
from infra.local.stripe_double.checkout_page import post_checkout, show_checkout
from infra.local.stripe_double.clock import Clock
from infra.local.stripe_double.control import CONTROLS, PREFIX, Control, run_control
from infra.local.stripe_double.deliveries import Endpoint
from infra.local.stripe_double.due import catch_up
from infra.local.stripe_double.invoice_page import post_invoice, show_invoice, show_receipt
from infra.local.stripe_double.kept import load_world, save_world
from infra.local.stripe_double.portal_page import post_portal, show_portal
from infra.local.stripe_double.refusals import Json, ResourceMissing, StripeRefusal
from infra.local.stripe_double.world import World

MAX_BODY_BYTES = 1024 * 1024
ACCOUNT = web.AppKey("account", Account)

Page = Callable[[World, Json], web.Response]
PostedPage = Callable[[World, Json, Json], web.Response]


def create_app(account: Account) -> web.Application:
    """Build the application around an account."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_deliver_afterwards])
    app[ACCOUNT] = account
    app.on_cleanup.append(_close)
    app.add_routes([web.route("*", "/v1/{path:.*}", answer_api)])
    app.add_routes([web.route(method, PREFIX + path, _controlled(control)) for method, path, control in CONTROLS])
    for path, kind, show, post in PAGES:
        app.router.add_get(path, _shown(kind, show))
        if post is not None:
            app.router.add_post(path, _posted(kind, post))
    return app


async def start_double(
    port: int = 0,
    *,
    now: int | None = None,
    seed: int | None = None,
    endpoints: list[Endpoint] | None = None,
    kept_in: Path | None = None,
) -> tuple[web.AppRunner, str]:
    """Serve on loopback in this process and return the runner with the address; 0 picks a free port.

    kept_in: a file for what it remembers, which a later start finds; None: it forgets all when it ends
    raises  OSError when the port is taken, UnreadableWorld
    """
    world = load_world(kept_in) if kept_in else None
    account = open_account(world or World(Clock(now), seed=seed), endpoints or [])
    app = create_app(account)
    if kept_in:
        app.middlewares.append(_keep_afterwards(kept_in))
    # Without handler_cancellation a silent answer would not notice that its client has left.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port, backlog=1024).start()
    account.world.base_url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    return runner, account.world.base_url


async def answer_api(request: web.Request) -> web.Response:
    """Answer a call of Stripe's API, or hang up where the script says so."""
    account = request.app[ACCOUNT]
    body = (await request.read()).decode("utf-8", "replace")
    text = "&".join(part for part in (request.query_string, body) if part)
    call = Call(request.method, request.path, text, request.headers, account.world.new_id("req", 14))
    response = await account.api.answer(call)
    if response is None:
        if request.transport is not None:
            request.transport.close()
        return web.Response()
    return response


@web.middleware
async def _deliver_afterwards(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Send the events that a request made, whatever became of it."""
    try:
        return await handler(request)
    finally:
        request.app[ACCOUNT].deliveries.pump()


def _keep_afterwards(path: Path) -> Middleware:
    @web.middleware
    async def keep(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Write down what a request has changed before anybody is told."""
        try:
            return await handler(request)
        finally:
            if request.method != "GET":
                save_world(request.app[ACCOUNT].world, path)

    return keep


def _controlled(control: Control) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        account, body = request.app[ACCOUNT], await request.read()
        try:
            answer: Any = await run_control(account, control, body, request.match_info.get("id", ""))
        except StripeRefusal as refusal:
            return web.json_response(refusal.as_json(), status=refusal.status)
        except ValueError as error:
            return web.json_response({"error": {"message": str(error)}}, status=400)
        return web.json_response(answer)

    return handle


def _shown(kind: str, show: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        world = request.app[ACCOUNT].world
        return show(world, _named(world, kind, request))

    return handle


def _posted(kind: str, post: PostedPage) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        world = request.app[ACCOUNT].world
        form = {name: str(value) for name, value in (await request.post()).items()}
        return post(world, _named(world, kind, request), form)

    return handle


def _named(world: World, kind: str, request: web.Request) -> Json:
    catch_up(world)
    try:
        return world.get(kind, request.match_info["id"])
    except ResourceMissing:
        raise web.HTTPNotFound(text="There is no such page.") from None


async def _close(app: web.Application) -> None:
    account = app[ACCOUNT]
    await account.deliveries.stop()
    await account.deliveries.session.close()


PAGES: tuple[tuple[str, str, Page, PostedPage | None], ...] = (
    ("/c/pay/{id}", "checkout.session", show_checkout, post_checkout),
    ("/p/session/{id}", "billing_portal.session", show_portal, post_portal),
    ("/i/{id}", "invoice", show_invoice, post_invoice),
    ("/receipts/{id}", "charge", show_receipt, None),
)
