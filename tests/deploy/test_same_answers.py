"""One set of requests, three places: the working tree, Vercel's bundles, the Lambda zips. The answers are the same."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from infra.package.groups import find_groups
from infra.server.gateway import VERCEL_FILE, read_routes
from tests.deploy.aws.gateway import LambdaGateway
from tests.deploy.same_answers import GENERATIONS, JSON, Cast, Question, Target, comparable, make_cast, put, questions
from tests.deploy.vercel_bundles import VercelGateway
from tests.functions.chat.client import HELLO, PATH, TIMEOUT, content_of, read_payloads, words
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

NOBODY = Cast({"Authorization": ""}, {}, {}, "", "", "", "")
NAMES = [question.name for question in questions(NOBODY)]
# Another of the addresses that this machine has for itself.
CLIENT_ADDRESS = "127.0.0.2"
# Where the request would come from if any of these were believed.
FORGED_ADDRESS = "203.0.113.7"
FORGED = {
    "X-Forwarded-For": FORGED_ADDRESS,
    "X-Real-IP": FORGED_ADDRESS,
    "Forwarded": f"for={FORGED_ADDRESS}",
    "X-Vercel-Forwarded-For": FORGED_ADDRESS,
    "X-Vercel-Proxied-For": FORGED_ADDRESS,
    "X-Amzn-Request-Context": json.dumps(
        {"http": {"sourceIp": FORGED_ADDRESS}, "identity": {"sourceIp": FORGED_ADDRESS}}
    ),
}

Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="session", params=["vercel", "lambda"])
def deployed(request: pytest.FixtureRequest) -> Target:
    """The built artefacts of one platform, behind its public host."""
    if request.param == "vercel":
        vercel: VercelGateway = request.getfixturevalue("vercel")
        return Target("vercel", vercel.url)
    aws: LambdaGateway = request.getfixturevalue("aws")
    return Target("lambda", aws.url)


@pytest.fixture(scope="session", params=["local", "vercel", "lambda", "lambda function url"])
def anywhere(request: pytest.FixtureRequest) -> Target:
    """Every place where chat is answered."""
    name = request.param
    if name == "local":
        local: Target = request.getfixturevalue("local")
        return local
    if name == "vercel":
        return Target(name, request.getfixturevalue("vercel").url)
    aws: LambdaGateway = request.getfixturevalue("aws")
    return Target(name, aws.function_url if "function" in name else aws.url)


@pytest.fixture(scope="session")
def local_answers(local: Target, tenant: Tenants, make_model: Models) -> Answers:
    return asyncio.run(ask_all(local, make_cast(tenant, make_model)))


@pytest.fixture(scope="session")
def deployed_answers(deployed: Target, tenant: Tenants, make_model: Models) -> Answers:
    return asyncio.run(ask_all(deployed, make_cast(tenant, make_model)))


async def ask_all(target: Target, cast: Cast) -> Answers:
    return {
        question.name: comparable(await put(question, target.url), question.varying) for question in questions(cast)
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_the_same(name: str, local_answers: Answers, deployed_answers: Answers) -> None:
    assert deployed_answers[name] == local_answers[name]


def test_every_function_is_asked_something() -> None:
    routes = read_routes(json.loads(VERCEL_FILE.read_text())["rewrites"])
    paths = [question.path.partition("?")[0] for question in questions(NOBODY)]
    asked = {next(route.service for route in routes if route.pattern.fullmatch(path)) for path in paths}
    assert asked == {group.name for group in find_groups()}


def test_the_set_holds_every_kind_of_answer(local_answers: Answers) -> None:
    statuses = {answer["status"] for answer in local_answers.values()}
    assert {200, 400, 401, 402, 404, 405, 413, 429, 502} <= statuses
    assert any(
        answer["headers"].get("content-type", "").startswith("text/event-stream") for answer in local_answers.values()
    )


async def test_the_first_byte_of_a_stream_leaves_before_the_provider_s_last_chunk(
    anywhere: Target, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=8,pace_ms=400")
    body = {"model": model.id, "messages": HELLO, "stream": True}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(anywhere.url + PATH, json=body, headers=customer.headers) as response,
    ):
        first = await response.content.readany()
        (asked,) = simulator.requests(model.upstream_model)
        rest = await response.content.read()
    assert first.startswith(b"data: ")
    assert not asked["finished"], "the provider had said everything before our first byte came"
    payloads = read_payloads(first + rest)
    assert content_of([json.loads(each) for each in payloads[:-1]]) == words(8)
    (line,) = customer.books.usage_lines()
    assert line.charged_nanos == line.cost_nanos == simulator.bill_nanos(model.upstream_model)


async def test_a_generation_is_read_and_its_answer_erased_where_it_was_made(
    anywhere: Target, tenant: Tenants, make_model: Models
) -> None:
    customer, body = tenant(), {"model": make_model("tokens=5").id, "messages": HELLO}
    asked = await put(Question("asked", "POST", PATH, {**JSON, **customer.headers}, body), anywhere.url)
    path = f"{GENERATIONS}/{asked.generation_id}"
    shown = await put(Question("shown", "GET", path, customer.headers), anywhere.url)
    assert (shown.status, shown.json["id"], shown.json["status"]) == (200, asked.generation_id, "settled")
    erased = await put(Question("erased", "DELETE", f"{path}/answer", customer.headers), anywhere.url)
    assert (erased.status, erased.raw) == (204, b"")


async def test_an_address_that_a_client_claims_is_not_believed(
    anywhere: Target, tenant: Tenants, make_model: Models
) -> None:
    # The platform's own parts talk to each other from 127.0.0.1, so that address would be one hop too late.
    allowed = {CLIENT_ADDRESS: 200, "127.0.0.1": 403, FORGED_ADDRESS: 403}
    customers = {address: tenant() for address in allowed}
    for address, customer in customers.items():
        customer.allow_addresses(f"{address}/32")
    body = {"model": make_model().id, "messages": HELLO}
    for times in (1, 2):
        # A header sent twice must not get through either, as the one that was not looked at.
        forged = [*JSON.items(), *list(FORGED.items()) * times]
        for address, customer in customers.items():
            headers = CIMultiDict([*forged, *customer.headers.items()])
            question = Question("forged", "POST", PATH, headers, body)
            answer = await put(question, anywhere.url, source_address=CLIENT_ADDRESS)
            assert answer.status == allowed[address], address
