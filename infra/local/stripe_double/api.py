"""One API call: key, version, scripted faults, idempotency, parameters, the endpoint, its expansions."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import stripe
from aiohttp import web

from infra.local.stripe_double.due import catch_up
from infra.local.stripe_double.expansion import expand
from infra.local.stripe_double.faults import FaultKind, FaultOrder, Faults
from infra.local.stripe_double.form import parse_form
from infra.local.stripe_double.idempotency import IdempotencyKeys, Kept
from infra.local.stripe_double.parameters import read_parameters
from infra.local.stripe_double.refusals import (
    InvalidRequest,
    Json,
    MalformedRequest,
    NotModelled,
    RateLimited,
    ServerFault,
    StripeRefusal,
    Unauthorized,
)
from infra.local.stripe_double.routes import find_route
from infra.local.stripe_double.world import Cause, World

KEY_PREFIX = "sk_test_"
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_CALLS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came."""

    method: str
    path: str
    text: str
    headers: Mapping[str, str]
    request_id: str

    @property
    def idempotency_key(self) -> str | None:
        """The key of a POST; on other methods it has no meaning."""
        return self.headers.get("Idempotency-Key") if self.method == "POST" else None


@dataclass(slots=True)
class Api:
    """The API of one account. calls: what was asked, newest last."""

    world: World
    keys: IdempotencyKeys = field(default_factory=IdempotencyKeys)
    faults: Faults = field(default_factory=Faults)
    calls: deque[Json] = field(default_factory=lambda: deque(maxlen=MAX_CALLS_KEPT))

    async def answer(self, call: Call) -> web.Response | None:
        """Return the answer; none when the connection is to be closed without one."""
        note: Json = {"method": call.method, "path": call.path, "idempotency_key": call.idempotency_key, "status": None}
        self.calls.append(note)
        fault = self.faults.take(call.method, call.path)
        try:
            _check_headers(call)
            earlier = self._open(call)
        except StripeRefusal as refusal:
            return _response(call, _refused(call, refusal), note, is_replayed=False)
        kept = earlier or await self._once(call, fault)
        if kept is None or (fault is not None and fault.kind is FaultKind.LOST):
            return None
        return _response(call, kept, note, is_replayed=earlier is not None)

    def _open(self, call: Call) -> Kept | None:
        """Return the answer that is kept under the call's key, or take the key.

        raises  IdempotencyMismatch, IdempotencyInUse, MalformedRequest
        """
        if call.idempotency_key is None:
            return None
        return self.keys.open(call.idempotency_key, call.path, call.text, self.world.now())

    async def _once(self, call: Call, fault: FaultOrder | None) -> Kept | None:
        """Answer, and keep the answer under the call's key unless the endpoint did not begin."""
        kept, is_kept = None, True
        try:
            kept = await self._faulty(call, fault)
        except StripeRefusal as refusal:
            kept, is_kept = _refused(call, refusal), refusal.is_kept
        finally:
            if call.idempotency_key is not None:
                self.keys.close(call.idempotency_key, kept if is_kept else None)
        return kept

    async def _faulty(self, call: Call, fault: FaultOrder | None) -> Kept | None:
        """Do what the call asks, or what the script says instead.

        raises  StripeRefusal
        """
        if fault is None or fault.kind is FaultKind.LOST:
            return self._run(call)
        match fault.kind:
            case FaultKind.ERROR:
                refusal = (
                    RateLimited("Request rate limit exceeded.") if fault.status == 429 else ServerFault(fault.status)
                )
                refusal.is_kept = False
                raise refusal
            case FaultKind.TIMEOUT:
                await asyncio.sleep(fault.wait_s)
                return None
            case FaultKind.LATE_ERROR:
                self._run(call)
                raise ServerFault(fault.status)
            case FaultKind.SLOW:
                await asyncio.sleep(fault.wait_s)
                return self._run(call)

    def _run(self, call: Call) -> Kept:
        """Answer the call; nothing else runs meanwhile, so it is done as a whole.

        raises  StripeRefusal
        """
        route, ids = find_route(call.method, call.path)
        params = read_parameters(route.shape, parse_form(call.text))
        for name in route.not_modelled:
            _check_absent(params, name)
        catch_up(self.world)
        self.world.cause = Cause(call.request_id, call.idempotency_key)
        try:
            with self.world.as_a_whole():
                answer = expand(self.world, route.answer(self.world, params, ids), params.get("expand", []))
        finally:
            self.world.cause = Cause()
        return Kept(200, json.dumps(answer).encode(), call.request_id)


def _check_headers(call: Call) -> None:
    """Refuse a call without a secret test key, of another version, or that is no form.

    raises  Unauthorized, InvalidRequest, MalformedRequest
    """
    scheme, _, key = call.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        raise Unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer"
            " auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if not key.startswith(KEY_PREFIX) or key == KEY_PREFIX:
        raise Unauthorized(f"Invalid API Key provided: {key[:8]}{'*' * max(0, len(key) - 12)}{key[12:][-4:]}")
    version = call.headers.get("Stripe-Version", stripe.api_version)
    if version != stripe.api_version:
        raise InvalidRequest(f"Invalid Stripe API version: {version}; the double speaks {stripe.api_version} alone.")
    if call.method == "POST" and call.text and FORM_TYPE not in call.headers.get("Content-Type", ""):
        raise MalformedRequest(f"Invalid request: please send {FORM_TYPE}.")


def _check_absent(params: Json, name: str) -> None:
    outer, _, inner = name.rstrip("]").partition("[")
    if outer in params and (not inner or inner in params[outer]):
        raise NotModelled(name)


def _refused(call: Call, refusal: StripeRefusal) -> Kept:
    return Kept(refusal.status, json.dumps(refusal.as_json()).encode(), call.request_id)


def _response(call: Call, kept: Kept, note: Json, *, is_replayed: bool) -> web.Response:
    note["status"] = kept.status
    headers = {"Request-Id": call.request_id, "Stripe-Version": stripe.api_version}
    if call.idempotency_key is not None:
        headers |= {"Idempotency-Key": call.idempotency_key, "Original-Request": kept.request_id}
    if is_replayed:
        headers["Idempotent-Replayed"] = "true"
    return web.Response(status=kept.status, body=kept.body, content_type="application/json", headers=headers)
