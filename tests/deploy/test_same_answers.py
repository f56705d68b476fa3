"""One set of requests, three places: the working tree, Vercel's bundles, the Lambda zips. The answers are the same."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from infra.package.groups import find_groups
from infra.server.gateway import VERCEL_FILE, read_routes
from shared.core.money import NANOS_PER_DOLLAR
from tests.deploy.admin_questions import ADMIN_STATUSES
from tests.deploy.cast import NOBODY, Cast, make_cast
from tests.deploy.dialect_questions import DIALECT_STATUSES
from tests.deploy.history_questions import HISTORY_STATUSES
from tests.deploy.output_questions import OUTPUT_STATUSES
from tests.deploy.question_set import GENERATIONS, questions
from tests.deploy.same_answers import CRON_SECRET, JSON, Question, Target, comparable, put
from tests.deploy.selling_questions import STATUSES
from tests.functions.chat.client import HELLO, PATH, TIMEOUT, Answer, words
from tests.functions.chat.speakers import EACH, Speaker
from tests.harness.privy import PrivyTokens
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

NAMES = [question.name for question in questions(NOBODY)]

Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def listed(local: Target) -> None:
    """The providers' lists are in the store before anybody asks what there is."""
    scheduler = {"Authorization": f"Bearer {CRON_SECRET}"}
    answer = asyncio.run(put(Question("", "POST", "/internal/jobs/catalog_sync", scheduler), local.url))
    assert answer.status == 200, answer.raw


@pytest.fixture(scope="session")
def local_answers(listed: None, local: Target, tenant: Tenants, make_model: Models, privy: PrivyTokens) -> Answers:
    return asyncio.run(ask_all(local, make_cast(tenant, make_model, privy)))


@pytest.fixture(scope="session")
def deployed_answers(
    listed: None, deployed: Target, tenant: Tenants, make_model: Models, privy: PrivyTokens
) -> Answers:
    return asyncio.run(ask_all(deployed, make_cast(tenant, make_model, privy)))


async def ask_all(target: Target, cast: Cast) -> Answers:
    return {
        question.name: comparable(await put(question, target.url), question.varying) for question in questions(cast)
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_the_same(name: str, local_answers: Answers, deployed_answers: Answers) -> None:
    assert deployed_answers[name] == local_answers[name]


def test_no_two_questions_have_the_same_name() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_every_function_is_asked_something() -> None:
    routes = read_routes(json.loads(VERCEL_FILE.read_text())["rewrites"])
    paths = [question.path.partition("?")[0] for question in questions(NOBODY)]
    asked = {next(route.service for route in routes if route.pattern.fullmatch(path)) for path in paths}
    assert asked == {group.name for group in find_groups()}


def test_the_set_holds_every_kind_of_answer(local_answers: Answers) -> None:
    statuses = {answer["status"] for answer in local_answers.values()}
    assert {200, 201, 204, 400, 401, 402, 403, 404, 405, 409, 413, 429, 502} <= statuses
    assert any(
        answer["headers"].get("content-type", "").startswith("text/event-stream") for answer in local_answers.values()
    )


MEANT = STATUSES | DIALECT_STATUSES | OUTPUT_STATUSES | HISTORY_STATUSES | ADMIN_STATUSES


@pytest.mark.parametrize(("name", "status"), MEANT.items())
def test_a_question_is_answered_as_it_is_meant(name: str, status: int, local_answers: Answers) -> None:
    assert local_answers[name]["status"] == status


@EACH
async def test_a_stream_leaves_before_the_provider_s_last_chunk_and_is_whole_at_its_end(
    speaker: Speaker, anywhere: Target, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=8,pace_ms=400")
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(
            anywhere.url + speaker.path, json=speaker.body(model, stream=True), headers=customer.headers
        ) as response,
    ):
        first = await _read_until_said(response.content)
        (asked,) = simulator.requests(model.upstream_model)
        rest = await response.content.read()
    assert not asked["finished"], "the provider had said everything before our first words came"
    said = speaker.read(Answer(response.status, response.headers.copy(), first + rest), is_stream=True)
    assert said.text == words(8)
    (line,) = customer.books.usage_lines()
    assert line.charged_nanos == line.cost_nanos == simulator.bill_nanos(model.upstream_model)
    assert round(said.cost * NANOS_PER_DOLLAR) == line.charged_nanos


async def _read_until_said(content: aiohttp.StreamReader) -> bytes:
    """Read until the provider's first word is there; what dialects send before needs no provider."""
    read = b""
    while b"tok0" not in read:
        piece = await content.readany()
        assert piece, read
        read += piece
    return read


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
