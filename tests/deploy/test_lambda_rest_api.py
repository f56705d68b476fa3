"""The REST API and the function URL over HTTP, before functions made for these tests."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.aws.deployed import RestApi, Route
from tests.deploy.aws.function_url import FunctionUrlFront
from tests.deploy.aws.functions import FunctionInstances
from tests.deploy.aws.http_server import served
from tests.deploy.aws.image import make_image
from tests.deploy.aws.rest_api import RestApiFront
from tests.deploy.lambda_functions import WITHIN_S, FunctionMaker
from tests.functions.chat.client import Answer

TIMEOUT = aiohttp.ClientTimeout(total=WITHIN_S)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[FunctionMaker]:
    """Make functions and servers; they end with the test."""
    (tmp_path / "image").mkdir()
    (tmp_path / "code").mkdir()
    async with AsyncExitStack() as ending:
        yield FunctionMaker(tmp_path / "code", make_image(tmp_path / "image"), ending)


async def open_api(make: FunctionMaker, function: FunctionInstances, *, is_streamed: bool, limit_s: float = 29) -> str:
    route = Route("/{proxy+}", "ANY", "function", is_streamed, limit_s)
    front = RestApiFront(RestApi("id", "prod", (route,), {}, frozenset()), {"function": function})
    return f"http://{await make.ending.enter_async_context(served(front.answer))}"


async def open_url(make: FunctionMaker, function: FunctionInstances, *, is_streamed: bool) -> str:
    front = FunctionUrlFront(function, is_streamed)
    return f"http://{await make.ending.enter_async_context(served(front.answer))}"


async def post(url: str, body: bytes = b"begun") -> Answer:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.post(url, data=io.BytesIO(body)) as response:
        return Answer(response.status, response.headers.copy(), await response.read())


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/answer", 200, b"whole"),
        ("/raise", 502, b'{"message":"Internal server error"}'),
        ("/exit", 502, b'{"message":"Internal server error"}'),
        ("/count", 502, b'{"message":"Internal server error"}'),
        ("/fill", 502, b'{"message":"Internal server error"}'),
        ("/sleep", 504, b'{"message":"Endpoint request timed out"}'),
        ("/", 403, b'{"message":"Missing Authentication Token"}'),
    ],
)
async def test_what_a_function_does_is_answered_as_api_gateway_answers_it(
    make: FunctionMaker, path: str, status: int, body: bytes
) -> None:
    url = await open_api(make, make.handler(), is_streamed=False, limit_s=3)
    answer = await post(url + path)
    assert (answer.status, answer.raw) == (status, body)
    assert answer.headers["x-amzn-RequestId"]


@pytest.mark.parametrize("megabytes", [7, 11])
async def test_a_body_that_no_event_can_hold_is_refused(make: FunctionMaker, megabytes: int) -> None:
    function = make.handler()
    body = b"x" * (megabytes * 1024 * 1024)
    for url in (
        await open_api(make, function, is_streamed=False),
        await open_url(make, function, is_streamed=False),
    ):
        assert (await post(f"{url}/answer", body)).status == 413


@pytest.mark.parametrize("door", [open_api, open_url])
async def test_a_streamed_answer_arrives_while_it_is_made(make: FunctionMaker, door: object) -> None:
    url = await door(make, make.server(), is_streamed=True)  # type: ignore[operator]
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(f"{url}/wait", data=b"begun") as response,
    ):
        assert await response.content.readany() == b"begun"
        (make.folder / "go-on").touch()
        assert await response.content.read() == b"the rest"


@pytest.mark.parametrize("door", [open_api, open_url])
async def test_a_streamed_answer_that_breaks_off_is_not_ended_in_order(make: FunctionMaker, door: object) -> None:
    url = await door(make, make.server(), is_streamed=True)  # type: ignore[operator]
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(f"{url}/break")


async def test_a_stream_ends_when_the_integration_s_time_is_up(make: FunctionMaker) -> None:
    url = await open_api(make, make.server(), is_streamed=True, limit_s=2)
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(f"{url}/wait")


@pytest.mark.parametrize(("is_streamed", "path"), [(True, "/answer"), (False, "/x")])
async def test_a_function_behind_the_wrong_kind_of_integration_fails(
    make: FunctionMaker, is_streamed: bool, path: str
) -> None:
    function = make.handler() if is_streamed else make.server()
    assert (await post(await open_api(make, function, is_streamed=is_streamed) + path)).status == 502
    answer = await post(await open_url(make, function, is_streamed=is_streamed) + path)
    assert answer.status == 502


async def test_requests_at_once_do_not_wait_for_each_other(make: FunctionMaker) -> None:
    url = await open_api(make, make.server(), is_streamed=True)
    slow = asyncio.create_task(post(f"{url}/wait"))
    assert (await post(f"{url}/other")).raw == b"begunthe rest"
    assert not slow.done()
    (make.folder / "go-on").touch()
    assert (await slow).raw == b"begunthe rest"
