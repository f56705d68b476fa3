"""The catcher's routes: Resend's, the pages, and those by which a test gives orders."""

import json
from typing import Any

from aiohttp import web

from infra.local.mail_catcher.faults import Fault
from infra.local.mail_catcher.mails import KeyReused, Mails
from infra.local.mail_catcher.pages import list_page, mail_page
from infra.local.mail_catcher.rules import MAX_KEY_LENGTH, fault_of, refusal

HEALTH_PATH = "/_control/health"
MAX_BODY_BYTES = 40 * 1024 * 1024


class Catcher:
    """The handlers and what they keep."""

    def __init__(self) -> None:
        self._mails = Mails()
        self._fault: Fault | None = None
        self._asked = 0

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/emails", self.send)
        app.router.add_get("/", self.show_all)
        app.router.add_get("/mails/{mail_id}", self.show)
        app.router.add_get(HEALTH_PATH, self.health)
        app.router.add_get("/_control/mails", self.list_mails)
        app.router.add_post("/_control/fault", self.order_fault)
        app.router.add_post("/_control/reset", self.reset)
        return app

    async def send(self, request: web.Request) -> web.Response:
        """Take a mail as Resend's POST /emails does."""
        self._asked += 1
        fault = self._current_fault()
        if fault is not None and (instead := await fault.before()) is not None:
            return instead
        answer = await self._take(request)
        if fault is not None and fault.drops_answer and request.transport is not None:
            request.transport.abort()
        return answer

    async def _take(self, request: web.Request) -> web.Response:
        if not request.headers.get("Authorization", "").removeprefix("Bearer ").strip():
            return refusal(401, "missing_api_key", "Missing API key in the authorization header.")
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
            return refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        raw = await request.read()
        try:
            body: Any = json.loads(raw)
        except ValueError:
            return refusal(400, "validation_error", "The request body is not JSON.")
        if (wrong := fault_of(body)) is not None:
            return wrong
        try:
            return web.json_response({"id": self._mails.take(body, raw, key)})
        except KeyReused:
            return refusal(409, "invalid_idempotent_request", "This key has been used with another request body.")

    async def show_all(self, _request: web.Request) -> web.Response:
        """Show the list."""
        return web.Response(text=list_page(self._mails.all()), content_type="text/html")

    async def show(self, request: web.Request) -> web.Response:
        """Show one mail."""
        mail = self._mails.find(request.match_info["mail_id"])
        if mail is None:
            return web.Response(status=404, text="There is no such mail.")
        return web.Response(text=mail_page(mail), content_type="text/html")

    async def health(self, _request: web.Request) -> web.Response:
        """Say that it is there."""
        return web.Response(text="ok")

    async def list_mails(self, request: web.Request) -> web.Response:
        """Tell what was caught, for one address where `to` names it, and how often a mail was asked to be sent."""
        to = request.query.get("to")
        mails = [mail.to_json() for mail in self._mails.all() if to is None or to in mail.body["to"]]
        return web.json_response({"mails": mails, "asked": self._asked})

    async def order_fault(self, request: web.Request) -> web.Response:
        """Have the next requests fail as the body says; an empty one has them succeed."""
        body = await request.json()
        self._fault = Fault.read(body) if body else None
        return web.json_response({})

    async def reset(self, _request: web.Request) -> web.Response:
        """Forget everything."""
        self._mails.forget()
        self._fault, self._asked = None, 0
        return web.json_response({})

    def _current_fault(self) -> Fault | None:
        if self._fault is not None and self._fault.is_over():
            self._fault = None
        return self._fault
