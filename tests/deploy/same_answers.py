"""One request to one place, and what of its answer must be the same wherever it comes from."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.functions.chat.client import TIMEOUT, Answer
from tests.harness.recorded_streams import check_stream

CRON_SECRET = "a cron secret of the tests"
JSON = {"Content-Type": "application/json"}
STREAM = "text/event-stream"

# What differs between two answers to one request: who asked when.
ANY = frozenset({"request_id"})
COMPLETION = ANY | {"id", "created"}
# The simulator numbers its answers, and says so in the ids of calls.
RESPONSE = COMPLETION | {"created_at", "completed_at", "item_id", "call_id"}
SESSION = ANY | {"id", "session_id", "created_at", "updated_at", "next"}
PING = ANY | {"count", "timestamp"}
# What other requests of this session have done to the providers' records in the meantime.
HEALTH = ANY | {"status", "providers"}
MODEL = ANY | {"status", "breaker", "latency_ms", "tokens_per_second"}
PROVIDERS = ANY | {
    "model_count", "success_rate", "median_latency_ms", "median_tokens_per_second", "status", "breakers",
}  # fmt: skip
# Whoever asks is made anew for each place, with a plan and a first key of his own.
KEY = ANY | {"id", "name", "masked", "api_key", "created_at", "last_used_at", "expires_at", "rotates_at"}
PERSON = ANY | {"id", "plan", "api_key", "created_at"}
EVENT = ANY | {"id", "key_id", "key_name", "actor_key_id", "address", "created_at"}
LINE = ANY | {"id", "created_at", "description"}
# What counts within a minute may have left it meanwhile.
LIMITS = ANY | {"plan", "used", "remaining", "reset_s", "resets_at"}
# What is bought and given: Stripe's page, when it began, whose it is.
OWN_PLAN = ANY | {"id", "name", "resets_at", "ends_at"}
TRIAL = ANY | {"started_at", "ends_at"}
REDEMPTION = ANY | {"id", "code", "redeemed_at", "next_cursor", "next"}
REFERRAL = ANY | {"code"}
CHECKOUT = ANY | {"id", "url", "expires_at"}
PORTAL = ANY | {"url"}
TEST_MAIL = ANY | {"to"}
# The jobs do for everybody what there is to do, whoever has left it.
JOB = ANY | {
    "alarms", "answers_erased", "app_lines", "apps_ranked", "cancellations", "events", "graces", "history_erased",
    "hours_summed", "mails_forgotten", "mails_sent", "models_ranked", "payments", "payments_mended", "refunds",
    "reports", "rewards", "subscriptions", "subscriptions_mended",
}  # fmt: skip
# A test's model has a name of its own, which the provider and a test key's echo repeat.
MODEL_NAME = re.compile(r"(?<=key=)[0-9a-f]{12}|(?<=test/)[0-9a-f]{12}")
SAME_HEADERS = re.compile(
    r"content-type|content-disposition|content-security-policy|cache-control|retry-after|www-authenticate|allow|x-should-retry|x-provider"
    r"|idempotent-replayed|access-control-.*|x-ratelimit-limit-.*"
)
# API Gateway hands some headers on under a name of its own.
# source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
RENAMED = "x-amzn-remapped-"
PRESENT_HEADERS = re.compile(r"x-request-id|request-id|x-generation-id|x-next-cursor|x-ratelimit-(remaining|reset)-.*")


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


async def put(question: Question, url: str, *, source_address: str | None = None) -> Answer:
    """Ask one place and read the whole answer; the request can come from another of this machine's own addresses."""
    content = json.dumps(question.body).encode() if isinstance(question.body, dict) else question.body
    data = None if content is None else io.BytesIO(content)
    connector = aiohttp.TCPConnector(local_addr=(source_address, 0) if source_address else None)
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session,
        session.request(question.method, url + question.path, headers=question.headers, data=data) as response,
    ):
        answer = Answer(response.status, response.headers.copy(), await response.read())
    if answer.headers.get("Content-Type", "").startswith(STREAM):
        check_stream(question.path.partition("?")[0], answer.raw, is_whole=True)
    return answer


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
