"""Memory and time of each function, and what the web adapter is told: enough for what the function does."""

import importlib
import re

import pytest
from starlette.routing import Match

from infra.aws.template import DeployedFunction, read_functions, read_template
from tests.infra.aws.serverless import http_events, is_scheduled, streams

FUNCTIONS = read_functions()
# source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LONGEST_S = 900
# A REST API that does not stream gives up here. source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
API_GIVES_UP_AFTER_S = 29
# A cold start, and then the stores' own deadlines, must fit into it.
LEAST_S = 15
JOB_S = 300
# Lambda repeats a failed event so long after the first attempt.
BEFORE_A_REPEAT_S = 60
LEAST_MEMORY_MB = 512
# Processors come with the memory, and a cold start is importing: with less, the first token waits for it longer.
LEAST_MEMORY_OF_STREAMING_MB = 1024
# The layer that the template is written for; earlier ones may not know all that it is told.
ADAPTER_VERSION = 28
ADAPTER_DEFAULT = re.compile(r"\$\{param:webAdapterVersion, '(\d+)'\}")

each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
each_streaming_function = pytest.mark.parametrize(
    "function", [pytest.param(each, id=group) for group, each in FUNCTIONS.items() if streams(each)]
)
each_scheduled_function = pytest.mark.parametrize(
    "function", [pytest.param(each, id=group) for group, each in FUNCTIONS.items() if is_scheduled(each)]
)


@each_function
def test_a_function_has_the_memory_that_its_kind_needs(function: DeployedFunction) -> None:
    least = LEAST_MEMORY_OF_STREAMING_MB if streams(function) else LEAST_MEMORY_MB
    assert function.block["memorySize"] >= least


@each_function
def test_a_function_has_the_time_that_its_kind_needs_and_ends_before_the_api_gives_up(
    function: DeployedFunction,
) -> None:
    timeout_s = function.block["timeout"]
    if streams(function):
        assert timeout_s == LONGEST_S
    elif is_scheduled(function):
        assert timeout_s == JOB_S
    else:
        assert LEAST_S <= timeout_s < API_GIVES_UP_AFTER_S


@each_scheduled_function
def test_a_job_that_took_all_its_time_is_still_repeated_once(function: DeployedFunction) -> None:
    assert function.block["maximumRetryAttempts"] == 1
    assert function.block["maximumEventAge"] > function.block["timeout"] + BEFORE_A_REPEAT_S


@each_function
def test_a_function_knows_its_own_time_limit(function: DeployedFunction) -> None:
    if "FUNCTION_TIME_LIMIT_S" in function.environment:
        assert int(function.environment["FUNCTION_TIME_LIMIT_S"]) == function.block["timeout"]


@each_streaming_function
def test_the_api_waits_as_long_as_a_streaming_function_runs_and_the_function_breaks_the_silence(
    function: DeployedFunction,
) -> None:
    assert {event["timeoutInMillis"] for event in http_events(function)} == {function.block["timeout"] * 1000}
    # source: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html
    assert function.environment["CONNECTION_SILENCE_LIMIT_S"] == "300"


@each_function
def test_a_function_streams_altogether_or_not_at_all(function: DeployedFunction) -> None:
    transfer_modes = {event.get("response", {}).get("transferMode") for event in http_events(function)}
    assert transfer_modes == ({"STREAM"} if streams(function) else {None})
    told_to_the_adapter = {name: value for name, value in function.environment.items() if name.startswith("AWS_L")}
    assert bool(told_to_the_adapter) == bool(function.block.get("layers")) == streams(function)


@each_streaming_function
def test_the_adapter_starts_the_function_asks_whether_it_is_ready_and_streams(function: DeployedFunction) -> None:
    assert {name: value for name, value in function.environment.items() if name.startswith("AWS_L")} == {
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
        "AWS_LWA_INVOKE_MODE": "response_stream",
        "AWS_LWA_PORT": "8080",
        "AWS_LWA_READINESS_CHECK_PATH": "/healthz",
    }


@each_streaming_function
def test_the_adapter_asks_at_a_path_that_the_application_answers(function: DeployedFunction) -> None:
    """It takes every answer below 500 for a good one, so that a wrong path would be noticed by nobody."""
    app = importlib.import_module(f"functions.{function.group}.app").app
    path = function.environment["AWS_LWA_READINESS_CHECK_PATH"]
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    assert any(route.matches(scope)[0] is Match.FULL for route in app.routes)


@each_streaming_function
def test_the_adapter_is_its_makers_own_in_the_pinned_version_or_a_later_one(function: DeployedFunction) -> None:
    (layer,) = function.block["layers"]
    publisher_and_rest = layer["Fn::Sub"].partition("${AWS::Region}:")[2]
    assert publisher_and_rest == (
        "753240598075:layer:${self:custom.webAdapter.layer.${self:provider.architecture}}"
        ":${self:custom.webAdapter.version}"
    )
    default = ADAPTER_DEFAULT.fullmatch(read_template()["custom"]["webAdapter"]["version"])
    assert default is not None
    assert int(default[1]) >= ADAPTER_VERSION
