"""The gateway once per session and place: from the working tree, from Vercel's bundles, from the Lambda zips."""

from collections.abc import Iterator

import pytest

from infra.local.environment import GATEWAY_URL
from infra.local.stack import LocalStack
from tests.deploy.aws.gateway import LambdaGateway, lambda_gateway
from tests.deploy.same_answers import CRON_SECRET, Target
from tests.deploy.vercel_bundles import VercelGateway, vercel_gateway
from tests.harness.gateways import Gateways

WHOLE = ["local", "vercel", "lambda"]


@pytest.fixture(scope="session")
def local(stack: LocalStack) -> Iterator[Target]:
    """All functions in one process, as `make dev` and the container run them."""
    gateways = Gateways(stack)
    try:
        yield Target("local", gateways(CRON_SECRET=CRON_SECRET, GATEWAY_URL=GATEWAY_URL).url)
    finally:
        gateways.stop_all()


@pytest.fixture(scope="session")
def vercel(stack: LocalStack) -> Iterator[VercelGateway]:
    """Every bundle of `vercel build`, each in a process of its own, behind what Vercel's edge does."""
    with vercel_gateway(stack) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def aws(stack: LocalStack) -> Iterator[LambdaGateway]:
    """Every zip of `make package`, deployed by osls and run as Lambda runs it, behind what API Gateway does."""
    with lambda_gateway(stack) as gateway:
        yield gateway


@pytest.fixture(scope="session", params=["vercel", "lambda"])
def deployed(request: pytest.FixtureRequest) -> Target:
    """The built artefacts of one platform, behind its public host."""
    if request.param == "vercel":
        vercel: VercelGateway = request.getfixturevalue("vercel")
        return Target("vercel", vercel.url)
    aws: LambdaGateway = request.getfixturevalue("aws")
    return Target("lambda", aws.url)


@pytest.fixture(scope="session", params=WHOLE)
def whole(request: pytest.FixtureRequest) -> Target:
    """Every place where all functions are answered."""
    return _place(request)


@pytest.fixture(scope="session", params=[*WHOLE, "lambda function url"])
def anywhere(request: pytest.FixtureRequest) -> Target:
    """Every place where chat is answered."""
    return _place(request)


def _place(request: pytest.FixtureRequest) -> Target:
    name = request.param
    if name == "local":
        local: Target = request.getfixturevalue("local")
        return local
    if name == "vercel":
        return Target(name, request.getfixturevalue("vercel").url)
    aws: LambdaGateway = request.getfixturevalue("aws")
    return Target(name, aws.function_url if "function" in name else aws.url)
