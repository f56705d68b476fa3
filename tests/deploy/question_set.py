"""The shared set of requests: each kind of route of each function, and each kind of refusal."""

import functools
from collections.abc import Iterator

from functions.scheduled.jobs import JOBS
from tests.deploy.admin_questions import admin_questions
from tests.deploy.cast import TOO_LARGE, Cast
from tests.deploy.dialect_questions import dialect_questions
from tests.deploy.history_questions import history_questions
from tests.deploy.output_questions import output_questions
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
from tests.deploy.selling_questions import selling_questions
from tests.functions.auth.client import PATH as SIGN_IN
from tests.functions.chat.client import HELLO, PATH

GENERATIONS = "/v1/generations"


def questions(cast: Cast) -> Iterator[Question]:
    """Return the shared set, in the order in which it is asked."""
    yield from _public_questions()
    yield from _refused_questions(cast)
    yield from _answered_questions(cast)
    yield from _generation_questions(cast)
    yield from dialect_questions(cast)
    yield from output_questions(cast)
    yield from history_questions(cast)
    yield from people_questions(cast.rich, cast.owner)
    yield from selling_questions(cast.rich, cast.buyer)
    yield from admin_questions(cast.operator, cast.rich)
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
    yield Question("another's ranking, where none is imported", "GET", "/ranking/models?source=openrouter&period=month")
    yield Question("no place of a ranking", "GET", "/ranking/apps?limit=0")
    yield Question("readiness", "GET", "/healthz")
    yield Question("the description of all functions", "GET", "/openapi.json")
    yield Question("the page that shows it", "GET", "/docs")
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
