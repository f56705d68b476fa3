"""Whoever asks the shared set of questions, and for what."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.credentials import admin_api_key_of
from tests.deploy.admin_questions import NO_OPERATOR, Operator
from tests.deploy.selling_questions import NO_BUYER, Buyer
from tests.functions.billing.people import SET_PERSON, make_coupon
from tests.functions.keys.client import GIVE_ALL_SCOPES, run_sql
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Models, PlanLimits, Tenants

TENANT_LIMITS = PlanLimits(requests_per_minute=600, tokens_per_minute=600_000, concurrency=20)
# Just over our own limit, and under those of the platforms.
TOO_LARGE = 4 * 1024 * 1024 + 1
MAKE_SESSION = "insert into gateway.chat_sessions (account_id, title) values (%s, 'kept') returning id"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who asks, and for what; made anew for each target, so that nothing counts twice.

    owner, writer: keys that may do everything; session: a stored chat of the writer's; calling, embedding, drawing:
    models that call functions, embed and make images; access_token, identity_token: of someone who has never signed in
    """

    rich: Mapping[str, str]
    poor: Mapping[str, str]
    test: Mapping[str, str]
    owner: Mapping[str, str]
    writer: Mapping[str, str]
    buyer: Buyer
    operator: Operator
    access_token: str
    identity_token: str
    session: str
    model: str
    calling: str
    embedding: str
    drawing: str
    failing: str
    limited: str
    cut: str


# To know which questions there are.
NOBODY = Cast({"Authorization": ""}, {}, {}, {}, {}, NO_BUYER, NO_OPERATOR, "", "", "", "", "", "", "", "", "", "")


def make_cast(tenant: Tenants, make_model: Models, privy: PrivyTokens) -> Cast:
    """Make the accounts and the models."""
    owner, writer, someone = tenant(limits=TENANT_LIMITS), tenant(limits=TENANT_LIMITS), new_privy_id()
    for customer in (owner, writer):
        run_sql(customer.database_url, GIVE_ALL_SCOPES, customer.key_id)
    ((session_id,),) = run_sql(writer.database_url, MAKE_SESSION, writer.account_id)
    return Cast(
        rich=tenant(limits=TENANT_LIMITS).headers,
        poor=tenant(limits=TENANT_LIMITS, credit_nanos=1).headers,
        test=tenant(limits=TENANT_LIMITS, environment="test").headers,
        owner=owner.headers,
        writer=writer.headers,
        buyer=_make_buyer(tenant),
        operator=_make_operator(tenant.gateway_secret),
        access_token=privy.access(someone),
        identity_token=privy.identity(someone, "ada@example.com"),
        session=f"sess_{session_id}",
        # A chat may have images in it.
        model=make_model("tokens=5", image_input_tokens=1000).id,
        calling=make_model("tokens=3,tool_calls=2").id,
        embedding=make_model.embedding_model().id,
        drawing=make_model.image_model(providers=("portkey",)).id,
        failing=make_model("status=500").id,
        limited=make_model("status=429,retry_after=7").id,
        cut=make_model("tokens=6,cut=mid_stream,at=3").id,
    )


def _make_operator(gateway_secret: str) -> Operator:
    headers = {"Authorization": f"Bearer {admin_api_key_of(gateway_secret)}"}
    return Operator(headers, f"shop-{secrets.token_hex(6)}")


def _make_buyer(tenant: Tenants) -> Buyer:
    account, mailbox = tenant(limits=TENANT_LIMITS, credit_nanos=0), f"{secrets.token_hex(8)}@example.com"
    run_sql(account.database_url, GIVE_ALL_SCOPES, account.key_id)
    run_sql(account.database_url, SET_PERSON, new_privy_id(), mailbox, mailbox, account.account_id)
    return Buyer(account.headers, make_coupon(account.database_url), tenant.gateway_secret)
