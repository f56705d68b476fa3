"""The bundles that `vercel build` made, each booted with nothing in its reach, behind what Vercel's edge does."""

import dataclasses
import json
from pathlib import Path

import pytest

from functions.scheduled.jobs import JOBS
from infra.local.ports import answers_http
from infra.local.stack import LocalStack
from infra.package.groups import find_groups
from tests.deploy.same_answers import JSON, Question, put
from tests.deploy.vercel_bundles import VercelGateway, vercel_variables
from tests.deploy.vercel_function import FunctionRefused, VercelFunction
from tests.flows.calls import wait_until
from tests.functions.chat.client import HELLO, PATH, read_error
from tests.harness.tenants import Models, Tenants

GROUPS = [group.name for group in find_groups()]
SWEEP = "/internal/jobs/settlement_sweep"
FORGED_ADDRESS = "203.0.113.7"


@pytest.mark.parametrize("group", GROUPS)
def test_a_bundle_boots_alone(vercel: VercelGateway, group: str) -> None:
    assert answers_http(vercel.functions[group].port, "/healthz")


def test_a_bundle_boots_with_nothing_but_what_it_holds(
    stack: LocalStack, vercel: VercelGateway, tmp_path: Path
) -> None:
    chat = vercel.functions["chat"].bundle
    without = {path: source for path, source in chat.files.items() if not path.startswith("_vendor/aiohttp/")}
    function = VercelFunction(stack, dataclasses.replace(chat, files=without), tmp_path, vercel_variables(stack))
    with pytest.raises(FunctionRefused, match="No module named 'aiohttp'"):
        function.start()


@pytest.mark.parametrize(
    ("group", "variable"),
    [
        *((group, "SUPABASE_URL") for group in GROUPS),
        *((group, "SECRET_KEY") for group in GROUPS if group != "catalog"),
        ("chat", "UPSTASH_REDIS_REST_TOKEN"),
    ],
)
def test_a_function_without_a_variable_refuses_to_start_and_names_it(
    stack: LocalStack, vercel: VercelGateway, tmp_path: Path, group: str, variable: str
) -> None:
    variables = {name: value for name, value in vercel_variables(stack).items() if name != variable}
    function = VercelFunction(stack, vercel.functions[group].bundle, tmp_path, variables)
    with pytest.raises(FunctionRefused, match=f"{variable} is not set"):
        function.start()
    assert f"{variable} is not set" in function.log_text()


async def test_a_public_path_is_answered_by_catalog(vercel: VercelGateway) -> None:
    answer = await put(Question("models", "GET", "/v1/models?limit=1"), vercel.url)
    assert (answer.status, len(answer.json["data"])) == (200, 1)
    await wait_until(lambda: answer.headers["X-Request-Id"] in vercel.functions["catalog"].log_text())


async def test_an_unknown_path_is_refused_by_catalog_in_our_words(vercel: VercelGateway) -> None:
    answer = await put(Question("unknown", "POST", "/v1/nothing/here", JSON, {}), vercel.url)
    assert (answer.status, read_error(answer)["code"]) == (404, "unknown_path")
    await wait_until(lambda: answer.headers["X-Request-Id"] in vercel.functions["catalog"].log_text())


async def test_chat_answers_whole_and_charges(vercel: VercelGateway, tenant: Tenants, make_model: Models) -> None:
    customer, model = tenant(), make_model("tokens=5")
    body = {"model": model.id, "messages": HELLO}
    answer = await put(Question("whole", "POST", PATH, {**JSON, **customer.headers}, body), vercel.url)
    assert answer.json["usage"]["completion_tokens"] == 5
    (line,) = customer.books.usage_lines()
    assert line.charged_nanos == line.cost_nanos > 0


async def test_chat_without_a_key_is_refused(vercel: VercelGateway) -> None:
    answer = await put(Question("no key", "POST", PATH, JSON, {"model": "any", "messages": HELLO}), vercel.url)
    assert (answer.status, read_error(answer)["code"]) == (401, "missing_api_key")


def test_every_cron_does_its_job(vercel: VercelGateway) -> None:
    assert {path.rpartition("/")[2] for path in vercel.crons} == set(JOBS)
    for path in vercel.crons:
        answer = vercel.fire_cron(path)
        assert answer.status == 200, answer.body
        assert json.loads(answer.body)["job"] == path.rpartition("/")[2]


async def test_a_job_is_not_started_by_whoever_asks(vercel: VercelGateway) -> None:
    for headers in ({}, {"Authorization": "Bearer a guess of the secret"}, {"User-Agent": "vercel-cron/1.0"}):
        answer = await put(Question("job", "GET", SWEEP, headers), vercel.url)
        assert (answer.status, read_error(answer)["code"]) == (401, "wrong_cron_secret")
