"""The shared set of requests, and what of an answer must be the same wherever it comes from."""

import functools
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.functions.chat.client import HELLO, PATH, TIMEOUT, Answer
from tests.harness.tenants import Models, PlanLimits, Tenants

CRON_SECRET = "a cron secret of the tests"
JSON = {"Content-Type": "application/json"}
STREAM = "text/event-stream"
GENERATIONS = "/v1/generations"
LIMITS = PlanLimits(requests_per_minute=600, tokens_per_minute=600_000, concurrency=20)
# Just over our own limit, and under those of the platforms.
TOO_LARGE = 4 * 1024 * 1024 + 1

# What differs between two answers to one request: who asked when.
ANY = frozenset({"request_id"})
COMPLETION = ANY | {"id", "created"}
PING = ANY | {"count", "timestamp"}
# What other requests of this session have done to the providers' records in the meantime.
HEALTH = ANY | {"status", "providers"}
MODEL = ANY | {"status"}
PROVIDERS = ANY | {"model_count", "success_rate", "median_latency_ms", "status"}
# A test's model has a name of its own, which the provider and a test key's echo repeat.
MODEL_NAME = re.compile(r"(?<=key=)[0-9a-f]{12}|(?<=test/)[0-9a-f]{12}")
SAME_HEADERS = re.compile(
    r"content-type|cache-control|retry-after|www-authenticate|allow|x-should-retry|x-provider"
    r"|access-control-.*|x-ratelimit-limit-.*"
)
# API Gateway hands some headers on under a name of its own.
# source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
RENAMED = "x-amzn-remapped-"
PRESENT_HEADERS = re.compile(r"x-request-id|x-generation-id|x-ratelimit-(remaining|reset)-.*")


@dataclass(frozen=True, slots=True)
class Target:
    """One place where the gateway runs."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request; its body is sent as it is when it is bytes, else as JSON.

    varying: the fields of its answer that two places need not agree on
    """

    name: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | dict[str, Any] | None = None
    varying: frozenset[str] = ANY


@dataclass(frozen=True, slots=True)
class Cast:
    """Who asks, and for what; made anew for each target, so that nothing counts twice."""

    rich: Mapping[str, str]
    poor: Mapping[str, str]
    test: Mapping[str, str]
    model: str
    failing: str
    limited: str
    cut: str


def make_cast(tenant: Tenants, make_model: Models) -> Cast:
    """Make the accounts and the models."""
    return Cast(
        rich=tenant(limits=LIMITS).headers,
        poor=tenant(limits=LIMITS, credit_nanos=1).headers,
        test=tenant(limits=LIMITS, environment="test").headers,
        model=make_model("tokens=5").id,
        failing=make_model("status=500").id,
        limited=make_model("status=429,retry_after=7").id,
        cut=make_model("tokens=6,cut=mid_stream,at=3").id,
    )


def questions(cast: Cast) -> Iterator[Question]:
    """Return the shared set: each kind of route, and each kind of refusal."""
    yield from _public_questions()
    yield from _refused_questions(cast)
    yield from _answered_questions(cast)
    yield from _generation_questions(cast)
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


def _job_questions() -> Iterator[Question]:
    sweep, scheduler = "/internal/jobs/settlement_sweep", {"Authorization": f"Bearer {CRON_SECRET}"}
    yield Question("a job", "GET", sweep, scheduler)
    yield Question("a job by POST", "POST", sweep, scheduler)
    yield Question("a job without the secret", "GET", sweep)
    yield Question("no such job", "POST", "/internal/jobs/none", scheduler)


async def put(question: Question, url: str, *, source_address: str | None = None) -> Answer:
    """Ask one place and read the whole answer; the request can come from another of this machine's own addresses."""
    content = json.dumps(question.body).encode() if isinstance(question.body, dict) else question.body
    data = None if content is None else io.BytesIO(content)
    connector = aiohttp.TCPConnector(local_addr=(source_address, 0) if source_address else None)
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session,
        session.request(question.method, url + question.path, headers=question.headers, data=data) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


def comparable(answer: Answer, varying: frozenset[str]) -> dict[str, Any]:
    """Return what must be the same wherever the answer comes from: a stream to the byte, but for what varies."""
    headers = {name.lower().removeprefix(RENAMED): value for name, value in answer.headers.items()}
    return {
        "status": answer.status,
        "headers": {name: value for name, value in headers.items() if SAME_HEADERS.fullmatch(name)},
        "present": sorted(name for name in headers if PRESENT_HEADERS.fullmatch(name)),
        "body": _comparable_body(answer.raw, headers.get("content-type", ""), varying),
    }


def _comparable_body(raw: bytes, content_type: str, varying: frozenset[str]) -> Any:
    if not content_type.startswith((STREAM, "application/json")):
        return raw
    text = MODEL_NAME.sub("", raw.decode())
    if content_type.startswith(STREAM):
        return re.sub(rf'"({"|".join(varying)})":\s*("[^"]*"|\d+)', r'"\1":"varies"', text)
    return _without_varying(json.loads(text), varying)


def _without_varying(value: Any, varying: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: "varies" if name in varying else _without_varying(each, varying) for name, each in value.items()}
    return [_without_varying(each, varying) for each in value] if isinstance(value, list) else value
