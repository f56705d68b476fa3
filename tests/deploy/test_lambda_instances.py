"""Instances of functions made for these tests: what they see, when they stand still, how they fail."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import ROOT
from tests.deploy.aws.deployed import DeploymentError
from tests.deploy.aws.functions import MAX_INSTANCES, FunctionInstances
from tests.deploy.aws.image import Image, make_image
from tests.deploy.aws.invocation import FunctionError
from tests.deploy.aws.proxy_answers import read_start
from tests.deploy.aws.proxy_events import ClientRequest, function_url_event
from tests.deploy.lambda_functions import ADAPTER, WITHIN_S, FunctionMaker, deployed_function


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture
async def start(tmp_path: Path, image: Image) -> AsyncIterator[FunctionMaker]:
    """Make a function's instances; they end with the test."""
    async with AsyncExitStack() as ending:
        yield FunctionMaker(tmp_path, image, ending)


async def call(instances: FunctionInstances, **event: Any) -> Any:
    async with asyncio.timeout(WITHIN_S):
        return json.loads(await instances.invoke(json.dumps(event).encode()).payload())


def posted(path: str, body: bytes = b"begun") -> bytes:
    request = ClientRequest("POST", path, "", (("Content-Type", "text/plain"),), body, "198.51.100.7")
    return json.dumps(function_url_event(request, "x.lambda-url.on.aws")).encode()


async def test_a_function_sees_its_code_its_variables_and_what_lambda_sets(
    start: FunctionMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "ours")
    told = await call(start.handler(variables={"MINE": "1"}), do="tell")
    environment = told["environment"]
    assert "SUPABASE_SERVICE_ROLE_KEY" not in environment
    assert environment["MINE"] == "1"
    assert environment["LAMBDA_TASK_ROOT"] == str(tmp_path)
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "under-test"
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "_HANDLER"} <= environment.keys()
    for folder in told["path"]:
        assert not Path(folder).is_relative_to(ROOT)
        assert "site-packages" not in folder


async def test_an_instance_stands_still_between_two_events(start: FunctionMaker) -> None:
    instances = start.handler()
    before = await call(instances, do="count")
    await asyncio.sleep(0.5)
    after = await call(instances, do="count")
    assert after["process"] == before["process"]
    assert after["beats"] - before["beats"] < 25, "half a second is fifty beats"


async def test_events_at_once_have_an_instance_each_up_to_a_limit(start: FunctionMaker) -> None:
    instances = start.handler()
    processes = await asyncio.gather(*(call(instances, do="sleep", for_s=0.3) for _ in range(2 * MAX_INSTANCES)))
    assert 1 < len(set(processes)) <= MAX_INSTANCES


async def test_an_error_is_told_and_the_instance_goes_on(start: FunctionMaker) -> None:
    instances = start.handler()
    process = (await call(instances, do="count"))["process"]
    with pytest.raises(FunctionError) as error:
        await call(instances, do="raise")
    assert json.loads(error.value.payload)["errorType"] == "ValueError"
    assert (await call(instances, do="count"))["process"] == process


async def test_an_instance_that_dies_is_replaced(start: FunctionMaker, tmp_path: Path) -> None:
    instances = start.handler()
    with pytest.raises(FunctionError, match=r"Runtime\.ExitError.*status 3"):
        await call(instances, do="exit")
    assert "about to exit" in (tmp_path / "log").read_text()
    assert (await call(instances, do="count"))["process"]


async def test_a_function_that_takes_too_long_is_ended(start: FunctionMaker) -> None:
    instances = start.handler(timeout_s=1)
    with pytest.raises(FunctionError, match="Task timed out after"):
        await call(instances, do="sleep", for_s=20)


async def test_an_answer_that_lambda_would_not_take_fails(start: FunctionMaker) -> None:
    instances = start.handler()
    assert len((await call(instances, do="fill", size=1_000_000))["body"]) == 1_000_000
    with pytest.raises(FunctionError, match="ResponseSizeTooLarge"):
        await call(instances, do="fill", size=7_000_000)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("import pytest", "No module named 'pytest'"),
        ("raise SystemExit(4)", "ExitError"),
    ],
)
async def test_a_function_that_does_not_start_fails_every_call(start: FunctionMaker, code: str, said: str) -> None:
    instances = start({"code.py": code})
    for _ in range(2):
        with pytest.raises(FunctionError, match=said):
            await call(instances, do="count")


async def test_a_server_s_answer_passes_while_it_is_made(start: FunctionMaker, tmp_path: Path) -> None:
    instances = start.server()
    async with asyncio.timeout(WITHIN_S):
        invocation = instances.invoke(posted("/wait"))
        assert (await invocation.start()).is_streamed
        answer, body = await read_start(invocation.chunks())
        assert answer.status == 201
        assert int(dict(answer.headers)["x-asked"]) >= 3, "asked until it was ready"
        assert await anext(body) == b"begun"
        (tmp_path / "go-on").touch()
        assert b"".join([chunk async for chunk in body]) == b"the rest"


@pytest.mark.parametrize(
    ("path", "said"), [("/break", "TruncatedResponse|AdapterError"), ("/exit", "ExitError|Adapter")]
)
async def test_a_server_s_answer_that_breaks_off_is_not_taken_for_whole(
    start: FunctionMaker, path: str, said: str
) -> None:
    instances = start.server()
    with pytest.raises(FunctionError, match=said):
        async with asyncio.timeout(WITHIN_S):
            await instances.invoke(posted(path)).payload()


def test_what_aws_would_say_at_the_first_call_is_found_before() -> None:
    deployed_function(variables=ADAPTER, layers=("LambdaAdapterLayerX86",)).check()
    for layers in ((), ("LambdaAdapterLayerArm64",)):
        with pytest.raises(DeploymentError, match="LambdaAdapterLayerX86"):
            deployed_function(variables=ADAPTER, layers=layers).check()
    with pytest.raises(DeploymentError, match="nobody may call"):
        deployed_function(url_invoke_mode="BUFFERED").check()
