"""The shared set of requests: each kind of route of each function, and each kind of refusal."""

import functools
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from functions.scheduled.jobs import JOBS
from tests.deploy.people_questions import people_questions
from tests.deploy.same_answers import (
    COMPLETION,
    CRON_SECRET,
    HEALTH,
    JOB,
    JSON,
    KEY,
    MODEL,
    PERSON,
    PING,
    PROVIDERS,
    Question,
)
from tests.deploy.selling_questions import NO_BUYER, Buyer, selling_questions
from tests.functions.auth.client import PATH as SIGN_IN
from tests.functions.billing.people import SET_PERSON, make_coupon
from tests.functions.chat.client import HELLO, PATH
from tests.functions.keys.client import GIVE_ALL_SCOPES, run_sql
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Models, PlanLimits, Tenants

GENERATIONS = "/v1/generations"
TENANT_LIMITS = PlanLimits(requests_per_minute=600, tokens_per_minute=600_000, concurrency=20)
# Just over our own limit, and under those of the platforms.
TOO_LARGE = 4 * 1024 * 1024 + 1


@dataclass(frozen=True, slots=True)
class Cast:
    """Who asks, and for what; made anew for each target, so that nothing counts twice.

    owner: a key that may do everything; access_token, identity_token: of someone who has never signed in
    """

    rich: Mapping[str, str]
    poor: Mapping[str, str]
    test: Mapping[str, str]
    owner: Mapping[str, str]
    buyer: Buyer
    access_token: str
    identity_token: str
    model: str
    failing: str
    limited: str
    cut: str


# To know which questions there are.
NOBODY = Cast({"Authorization": ""}, {}, {}, {}, NO_BUYER, "", "", "", "", "", "")


def make_cast(tenant: Tenants, make_model: Models, privy: PrivyTokens) -> Cast:
    """Make the accounts and the models."""
    owner, someone = tenant(limits=TENANT_LIMITS), new_privy_id()
    run_sql(owner.database_url, GIVE_ALL_SCOPES, owner.key_id)
    return Cast(
        rich=tenant(limits=TENANT_LIMITS).headers,
        poor=tenant(limits=TENANT_LIMITS, credit_nanos=1).headers,
        test=tenant(limits=TENANT_LIMITS, environment="test").headers,
        owner=owner.headers,
        buyer=_make_buyer(tenant),
        access_token=privy.access(someone),
        identity_token=privy.identity(someone, "ada@example.com"),
        model=make_model("tokens=5").id,
        failing=make_model("status=500").id,
        limited=make_model("status=429,retry_after=7").id,
        cut=make_model("tokens=6,cut=mid_stream,at=3").id,
    )


def _make_buyer(tenant: Tenants) -> Buyer:
    account, mailbox = tenant(limits=TENANT_LIMITS, credit_nanos=0), f"{secrets.token_hex(8)}@example.com"
    run_sql(account.database_url, GIVE_ALL_SCOPES, account.key_id)
    run_sql(account.database_url, SET_PERSON, new_privy_id(), mailbox, mailbox, account.account_id)
    return Buyer(account.headers, make_coupon(account.database_url), tenant.gateway_secret)


def questions(cast: Cast) -> Iterator[Question]:
    """Return the shared set, in the order in which it is asked."""
    yield from _public_questions()
    yield from _refused_questions(cast)
    yield from _answered_questions(cast)
    yield from _generation_questions(cast)
    yield from people_questions(cast.rich, cast.owner)
    yield from selling_questions(cast.rich, cast.buyer)
    yield from _sign_in_questions(cast)
    yield from _job_questions()


def _public_questions() -> Iterator[Question]:
    yield Question("health", "GET", "/health", varying=HEALTH)
    yield Question("ping", "GET", "/ping", varying=PING)
    yield Question("models", "GET", "/v1/models?q=gpt&limit=2")
    yield Question("models, a wrong query", "GET", "/models?limit=0")
    yield Question("a query with a list and odd characters", "GET", "/models?q=a%26b+%C3%A9&q=gpt&free=true")
    yield Question("a model whose id has a slash", "GET", "/v1/models/openai/gpt-5-mini", varying=MODEL)
    yield Question("a model whose slash is escaped", "GET", "/v1/models/openai%2Fgpt-5-mini", varying=MODEL)
    yield Question("no such model", "GET", "/models/none/s%C3%BCch")
    yield Question("providers", "GET", "/v1/providers", varying=PROVIDERS)
    yield Question("readiness", "GET", "/healthz")
    yield Question("unknown path", "GET", "/v1/none")
    yield Question("the root", "GET", "/")
    yield Question("an unknown path with a body", "POST", "/none", JSON, {"a": 1})
    yield Question("the wrong method", "GET", PATH)
    yield Question("the wrong method of the catalog", "DELETE", "/v1/models")
    origin = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    yield Question("preflight", "OPTIONS", PATH, {**origin, "Access-Control-Request-Headers": "authorization"})


def _refused_questions(cast: Cast) -> Iterator[Question]:
    body = {"model": cast.model, "messages": HELLO}
    yield Question("no key", "POST", PATH, JSON, body)
    yield Question("a mistyped key", "POST", PATH, {**JSON, "Authorization": "Bearer gw_live_mistyped"}, body)
    rich = {**JSON, **cast.rich}
    yield Question("no JSON", "POST", PATH, rich, b"{not json")
    yield Question("bytes that are no text", "POST", PATH, rich, b"\xff\xfe\x00")
    yield Question("no body", "POST", PATH, rich)
    yield Question("no model", "POST", PATH, rich, {"messages": HELLO})
    yield Question("an unknown model", "POST", PATH, rich, {**body, "model": "none/such"})
    yield Question("a field without a price", "POST", PATH, rich, {**body, "web_search_options": {}})
    yield Question("too large", "POST", PATH, rich, b" " * TOO_LARGE)
    yield Question("no credit", "POST", PATH, {**JSON, **cast.poor}, body)
    yield Question("a provider that fails", "POST", PATH, rich, {**body, "model": cast.failing})
    yield Question("a provider that limits us", "POST", PATH, rich, {**body, "model": cast.limited})


def _answered_questions(cast: Cast) -> Iterator[Question]:
    rich = {**JSON, **cast.rich, "Origin": "https://app.example"}
    body = {"model": cast.model, "messages": [{"role": "user", "content": "Grüß Gott, 世界 👋"}]}
    completion = functools.partial(Question, method="POST", path=PATH, varying=COMPLETION)
    yield completion("whole", headers=rich, body=body)
    yield completion("a key in x-api-key", headers={**JSON, "x-api-key": cast.rich["Authorization"][7:]}, body=body)
    yield completion("a stream", headers=rich, body={**body, "stream": True})
    with_usage = {**body, "stream": True, "stream_options": {"include_usage": True}}
    yield completion("a stream with usage", headers=rich, body=with_usage)
    yield completion("a stream cut short", headers=rich, body={**body, "model": cast.cut, "stream": True})
    yield completion("a test key", headers={**JSON, **cast.test}, body=body)


def _generation_questions(cast: Cast) -> Iterator[Question]:
    unknown = f"{GENERATIONS}/gen_{'0' * 32}"
    yield Question("a generation that never was", "GET", unknown, cast.rich)
    yield Question("what is no generation", "GET", f"{GENERATIONS}/none", cast.rich)
    yield Question("a generation without a key", "GET", unknown)
    yield Question("an answer to erase that never was", "DELETE", f"{unknown}/answer", cast.rich)
    yield Question("more than a generation", "GET", f"{unknown}/answer/more", cast.rich)
    yield Question("the wrong method of a generation", "POST", unknown, cast.rich)
    yield Question("generations without an id", "GET", GENERATIONS, cast.rich)


def _sign_in_questions(cast: Cast) -> Iterator[Question]:
    """Someone signs in, comes again, and calls each function with his token."""
    signed_in = {**JSON, "Authorization": f"Bearer {cast.access_token}"}
    completion = {"model": cast.model, "messages": HELLO}
    yield Question("a token of someone who never signed in", "POST", PATH, signed_in, completion)
    yield Question("a sign-in without a token", "POST", SIGN_IN, JSON, {})
    yield Question("a sign-in with what is no token", "POST", SIGN_IN, JSON, {"token": "eyJ.a.b"})
    yield Question(
        "a sign-in with a field too many", "POST", SIGN_IN, JSON, {"token": "eyJ.a.b", "email": "a@b.example"}
    )
    yield Question("a sign-in by GET", "GET", SIGN_IN)
    yield Question("more than a sign-in", "POST", f"{SIGN_IN}/more", JSON, {})
    first = functools.partial(Question, method="POST", headers=JSON, varying=PERSON)
    yield first("a first sign-in", path=SIGN_IN, body={"identity_token": cast.identity_token})
    yield first("a second one, at the other path", path="/auth", body={"token": cast.access_token})
    yield Question("the session's own key", "GET", "/v1/key", signed_in, varying=KEY)
    yield Question("the session's account", "GET", "/user/balance", signed_in)
    yield Question("the session without credit", "POST", PATH, signed_in, completion)


def _job_questions() -> Iterator[Question]:
    sweep, scheduler = "/internal/jobs/settlement_sweep", {"Authorization": f"Bearer {CRON_SECRET}"}
    for job in sorted(JOBS):
        yield Question(f"the job {job}", "GET", f"/internal/jobs/{job}", scheduler, varying=JOB)
    yield Question("a job by POST", "POST", sweep, scheduler)
    yield Question("a job without the secret", "GET", sweep)
    yield Question("no such job", "POST", "/internal/jobs/none", scheduler)
