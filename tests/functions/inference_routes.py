"""Every route that asks a model, with a request of each form that it takes and what that comes to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from shared.core.money import Nanos
from tests.functions.chat.client import Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, TestModel

Body = dict[str, Any]
SCRIPT = "tokens=8,prompt_tokens=10"
CHAT_COST = Nanos(10 * 1_000 + 8 * 2_000)
EMBEDDING_COST = Nanos(10 * 1_000)
IMAGE_COST = Nanos(2 * 40_000_000)
ITS_SESSION = """
    with found as (select id from gateway.chat_sessions where account_id = %(account)s),
    made as (
        insert into gateway.chat_sessions (account_id)
        select %(account)s where not exists (select from found) returning id
    ),
    allowed as (
        update gateway.api_keys set scopes = scopes || '{history:read,history:write}'::text[]
        where account_id = %(account)s and exists (select from made)
    )
    select id from found union all select id from made
"""
# Nobody's.
ANY_SESSION = 1


def _chat_model(models: Models, script: str) -> TestModel:
    # A provider that keeps no record of a request: who leaves is settled by what the provider sends.
    return models(script, providers=("featherless",))


def _embedding_model(models: Models, script: str) -> TestModel:
    return models.embedding_model(script)


def _image_model(models: Models, script: str) -> TestModel:
    return models.image_model(script)


@dataclass(frozen=True, slots=True)
class InferenceRoute:
    """One form of request that one route takes; cost_nanos: what it comes to by the script.

    is_in_session: every request of one account goes on with one session
    """

    path: str
    fields: Body
    prompt_field: str = "messages"
    cost_nanos: Nanos = CHAT_COST
    make_model: Callable[[Models, str], TestModel] = field(default=_chat_model, repr=False)
    is_in_session: bool = False

    @property
    def form(self) -> str:
        """What is asked for: an answer whole, as a stream, stored, or in a session."""
        if self.is_in_session:
            return "session"
        return next((form for form, name in FORM_FIELDS.items() if self.fields.get(name)), "whole")

    def model(self, models: Models, script: str = "") -> TestModel:
        """Make a model for the route; the script is added to what its cost was reckoned by."""
        return self.make_model(models, f"{SCRIPT},{script}" if script else SCRIPT)

    def body(self, tenant: Tenant | None, model: TestModel, prompt: str = "Say something.") -> Body:
        """Return a request's body."""
        is_chat = self.prompt_field == "messages"
        told = [{"role": "user", "content": prompt}] if is_chat else prompt
        session = {"session_id": f"sess_{_session_of(tenant)}"} if self.is_in_session else {}
        return {"model": model.id, self.prompt_field: told, **self.fields, **session}

    async def ask(
        self,
        gateway: RunningGateway,
        tenant: Tenant | None,
        model: TestModel,
        *,
        prompt: str = "Say something.",
        **headers: str,
    ) -> Answer:
        """Ask as the tenant, or as nobody."""
        sent = {**(tenant.headers if tenant else {}), **headers}
        return await post(gateway.url, self.body(tenant, model, prompt), sent, self.path)


def _session_of(tenant: Tenant | None) -> int:
    """Return the account's session, made with its keys' scopes beside the gateway: to begin it counts as no request."""
    if tenant is None:
        return ANY_SESSION
    with psycopg.connect(tenant.database_url, autocommit=True) as connection:
        (found,) = connection.execute(ITS_SESSION, {"account": tenant.account_id}).fetchall()
    return int(found[0])


FORM_FIELDS = {"stream": "stream", "stored": "store"}
STREAM: Body = {"stream": True}
UNSTORED: Body = {"store": False}
ANTHROPIC: Body = {"max_tokens": 50}
CHARGED = (
    InferenceRoute("/v1/chat/completions", {}),
    InferenceRoute("/v1/chat/completions", STREAM),
    InferenceRoute("/v1/chat/completions", {}, is_in_session=True),
    InferenceRoute("/v1/responses", UNSTORED, "input"),
    InferenceRoute("/v1/responses", UNSTORED | STREAM, "input"),
    InferenceRoute("/v1/responses", {"store": True}, "input"),
    InferenceRoute("/v1/responses", UNSTORED, "input", is_in_session=True),
    InferenceRoute("/v1/messages", ANTHROPIC),
    InferenceRoute("/v1/messages", ANTHROPIC | STREAM),
    InferenceRoute("/v1/embeddings", {}, "input", EMBEDDING_COST, _embedding_model),
    InferenceRoute("/images/generate", {"n": 2}, "prompt", IMAGE_COST, _image_model),
    InferenceRoute("/v1/images/generations", {"n": 2}, "prompt", IMAGE_COST, _image_model),
)
# These answer without a provider.
FREE = (InferenceRoute("/v1/messages/count_tokens", {}, cost_nanos=Nanos(0)),)


def _named(routes: tuple[InferenceRoute, ...]) -> list[object]:
    return [pytest.param(route, id=f"{route.path} {route.form}") for route in routes]


EACH_ROUTE = pytest.mark.parametrize("route", _named(CHARGED + FREE))
EACH_CHARGED = pytest.mark.parametrize("route", _named(CHARGED))
EACH_FREE = pytest.mark.parametrize("route", _named(FREE))
