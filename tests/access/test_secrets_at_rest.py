"""No secret stays in a table, in Redis, in a log or a refusal: searched for after a run that uses them all."""

import json
import secrets as random
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio
import redis

from infra.local.ports import LOOPBACK
from infra.local.stack import LocalStack
from shared.routing.store import load_script
from tests.access.search import Secrets, encodings_of
from tests.access.secret_run import ANSWER, SecretRun, Stage
from tests.functions.keys.client import KEYS
from tests.harness.gateways import Gateways
from tests.harness.privy import PrivyTokens
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Wire

# The routes that show a secret: once, to whoever made it.
ISSUES = ("POST /auth", f"POST {KEYS}", "POST /admin/users", "POST /admin/create")

LOOK_SCRIPT = load_script("look.lua")
# EVALSHA, the script, how many keys, the time: models follow.
LOOK_WORDS = 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(stack: LocalStack, tenant: Tenants, make_model: Models, privy: PrivyTokens) -> AsyncIterator[SecretRun]:
    supabase, store = Wire(stack.supabase_url).open(), Wire(stack.redis_rest_url).open()
    gateways, cron_secret, newest = Gateways(stack), random.token_urlsafe(24), random.token_urlsafe(40)
    provider_key = f"sk-{random.token_urlsafe(24)}"
    try:
        gateway = gateways(
            SUPABASE_URL=supabase.url,
            UPSTASH_REDIS_REST_URL=store.url,
            CRON_SECRET=cron_secret,
            # What stands under the older is moved to the newest as it is used.
            SECRET_KEY=f"{newest},{stack.credentials.gateway_secret}",
            OPENROUTER_API_KEY=provider_key,
        )
        done = SecretRun(Stage(gateway, supabase, store, tenant, make_model, privy, cron_secret))
        done.secrets.add("SECRET_KEY", newest)
        done.secrets.add("the SECRET_KEY before it", stack.credentials.gateway_secret)
        done.secrets.add("a provider's key", provider_key)
        for name in ("secret_key", "redis_token", "jwt_secret"):
            done.secrets.add(f"the stores' {name}", getattr(stack.credentials, name))
        await done.run()
        yield done
    finally:
        gateways.stop_all()
        supabase.close()
        store.close()


def test_the_run_met_every_kind_of_answer(run: SecretRun) -> None:
    statuses = {answer.status for _, answer in run.answers}
    assert {200, 201, 204, 400, 401, 404, 503} <= statuses
    assert len(run.answers) > 250
    shown = {
        name for path, answer in run.answers for name in run.secrets.found_in(answer.raw) if path.startswith(ISSUES)
    }
    assert {"the first key", "a key", "a rotated key", "a collected key", "a revoked key", "a provisioned key"} <= shown
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for _, answer in run.answers) >= 4
    assert any("the answer" in run.secrets.found_in(answer.raw) for _, answer in run.answers)


def test_no_table_has_a_secret(run: SecretRun, stack: LocalStack) -> None:
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        assert run.secrets.found_in_tables(session) == set()


def test_redis_has_no_secret_and_no_person(run: SecretRun, stack: LocalStack) -> None:
    assert run.secrets.found_in_redis(stack) == set()
    assert run.personal.found_in_redis(stack) == set()


def test_nothing_that_was_sent_to_a_store_had_a_secret_in_it(run: SecretRun) -> None:
    exchanges = [*run.stage.supabase.exchanges(), *run.stage.redis.exchanges()]
    assert len(exchanges) > 300
    sent = {(each.path, name) for each in exchanges for name in run.secrets.found_in(without_models(each.body))}
    assert sent == set()
    for secrets in (run.secrets, run.personal):
        assert {name for exchange in exchanges for name in secrets.found_in(exchange.path.encode())} == set()


def without_models(body: bytes) -> bytes:
    """Return a call's arguments without the names of models: those are anything that somebody writes."""
    arguments = json.loads(body or "null")
    if isinstance(arguments, dict):
        arguments.pop("p_models", None)
        (arguments.get("p_filter") or {}).pop("model_id", None)
    elif isinstance(arguments, list):
        arguments = [words[:LOOK_WORDS] if is_look(words) else words for words in arguments]
    return json.dumps(arguments).encode()


def is_look(words: object) -> bool:
    """Tell whether a command asks how the providers of some models do."""
    return isinstance(words, list) and words[:2] in (["EVALSHA", LOOK_SCRIPT.sha1], ["EVAL", LOOK_SCRIPT.text])


def test_no_log_has_a_secret_and_the_gateway_s_has_no_person(run: SecretRun, stack: LocalStack) -> None:
    log = run.stage.gateway.log_text()
    # The line of an answer is written after its last byte.
    assert log.count('"request_answered"') > len(run.answers) - 10
    assert "Traceback" not in log
    logs = {path.name: path.read_bytes() for path in stack.processes.log_path("any").parent.glob("*.log")}
    assert {"postgres.log", "postgrest.log", f"{run.stage.gateway.name}.log"} <= logs.keys()
    found = {(name, secret) for name, content in logs.items() for secret in run.secrets.found_in(content)}
    assert found == set()
    assert run.personal.found_in(log.encode()) == set()


def test_no_refusal_and_no_header_has_a_secret(run: SecretRun) -> None:
    for path, answer in run.answers:
        headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
        assert run.secrets.found_in(headers) == set(), path
        if answer.status >= 400:
            assert run.secrets.found_in(answer.raw) | run.personal.found_in(answer.raw) == set(), path


def test_no_answer_shows_a_key_but_those_that_issue_it(run: SecretRun) -> None:
    shown = {
        (path, name)
        for path, answer in run.answers
        for name in run.secrets.found_in(answer.raw) - {"the answer"}
        if not path.startswith(ISSUES)
    }
    assert shown == set()


async def test_when_an_account_has_ended_nothing_tells_whose_it_was(run: SecretRun, stack: LocalStack) -> None:
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        assert {name for _, name in run.personal.found_in_tables(session)} == run.personal.names
        await run.end_account()
        assert run.personal.found_in_tables(session) == set()
    assert run.personal.found_in_redis(stack) == set()


PLANTS = """
    create table gateway.planted (plain text, bytes bytea, json jsonb, list text[], number int);
    insert into gateway.planted (plain) values ('xx' || %(secret)s || 'yy');
    insert into gateway.planted (bytes) values (convert_to('xx' || %(secret)s, 'UTF8'));
    insert into gateway.planted (json) values (jsonb_build_object('a', jsonb_build_array(%(base64)s)));
    insert into gateway.planted (list) values (array['one', upper(%(hex)s)]);
"""


def test_the_search_finds_what_is_planted_in_a_table(stack: LocalStack) -> None:
    secrets = Secrets()
    secret = secrets.add("planted", f"planted-{random.token_urlsafe(24)}")
    with psycopg.connect(stack.superuser_url, cursor_factory=psycopg.ClientCursor) as session:
        assert secrets.found_in_tables(session) == set()
        values = {"secret": secret, "hex": secret.encode().hex(), "base64": in_base64(f"a{secret}b")}
        session.execute(PLANTS.encode(), values)
        found = secrets.found_in_tables(session)
        assert found == {(f"gateway.planted.{column}", "planted") for column in ("plain", "bytes", "json", "list")}
        session.rollback()
        assert secrets.found_in_tables(session) == set()


def in_base64(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


def test_the_search_finds_what_is_planted_in_redis(stack: LocalStack) -> None:
    secrets = Secrets()
    secret = secrets.add("planted", f"planted-{random.token_urlsafe(24)}")
    with redis.Redis(LOOPBACK, stack.ports.redis, password=stack.credentials.redis_password) as client:
        names = [f"planted:{number}" for number in range(4)] + [f"planted:{secret}"]
        client.set(names[0], secret)
        client.hset(names[1], "field", secret.encode().hex())
        client.zadd(names[2], {in_base64(secret): 1.0})
        client.rpush(names[3], "one", f"two {secret}")
        client.set(names[4], "nothing")
        try:
            assert secrets.found_in_redis(stack) == {(name, "planted") for name in names}
        finally:
            client.delete(*names)


def test_the_search_knows_a_secret_in_other_clothes() -> None:
    secret = f"{ANSWER}?>~{random.token_hex(8)}"
    for number in range(3):
        for padded in ("x" * number + secret, "x" * number + secret + "yy"):
            for encoded in (in_base64(padded), in_base64(padded).replace("-", "+").replace("_", "/")):
                assert any(each in encoded.encode() for each in encodings_of(secret)), encoded
