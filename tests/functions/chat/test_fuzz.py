"""Whatever a client sends, the answer is one of the contract's; bounded in examples and in time."""

import json
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functions.chat.client import PATH, Answer, read_error
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

FUZZ = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
EXPECTED = {200, 400, 402, 404, 413}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 2**64 - 1, 10**40, -1, 0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["\ud800", "\0", "https://[", "data:image/png;base64,x"])
)
KEYS = st.text(max_size=8) | st.sampled_from(
    ["type", "text", "image_url", "url", "function", "name", "role", "content"]
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))
FIELDS = st.sampled_from(
    ["model", "messages", "models", "provider", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens",
     "tools", "tool_choice", "functions", "response_format", "logprobs", "top_logprobs", "seed", "stop", "user",
     "session_id", "metadata", "plugins", "usage", "modalities", "prediction", "reasoning", "cache_control", "made_up"]
)  # fmt: skip
PARTS = st.sampled_from(
    [
        {"type": "text", "text": "hi"},
        {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}},
        {"type": "image_url", "image_url": 7},
        {"type": "text"},
        {},
    ]
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "x"])},
    optional={"content": st.lists(PARTS, max_size=3) | VALUES, "tool_calls": VALUES, "name": VALUES},
)


def mutated(model: str) -> st.SearchStrategy[dict[str, Any]]:
    """Valid bodies with some of their fields made into something else."""
    valid = st.fixed_dictionaries(
        {"model": st.just(model), "messages": st.lists(MESSAGE, min_size=1, max_size=3)},
        optional={"stream": st.booleans(), "max_tokens": st.integers(1, 50), "n": st.integers(1, 3)},
    )
    return st.builds(lambda body, odd: {**body, **odd}, valid, st.dictionaries(FIELDS, VALUES, max_size=2))


def send(gateway: RunningGateway, tenant: Tenant, body: bytes, client: httpx.Client) -> Answer:
    """Send a body and check what any answer must be."""
    headers = {**tenant.headers, "Content-Type": "application/json"}
    response = client.post(gateway.url + PATH, content=body, headers=headers)
    answer = Answer(response.status_code, response.headers, response.content)
    assert answer.status in EXPECTED, (answer.status, answer.raw, body)
    if answer.status != 200:
        read_error(answer)
    return answer


def test_no_body_breaks_the_gateway(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    model = make_model("tokens=2", image_input_tokens=10)
    for environment in ("live", "test"):
        _fuzz(gateway, tenant(environment=environment), model)
    log = gateway.log_text()
    assert "request_crashed" not in log
    assert "stream_crashed" not in log
    assert "Traceback" not in log


def _fuzz(gateway: RunningGateway, customer: Tenant, model: TestModel) -> None:
    with httpx.Client(timeout=20) as client:

        @FUZZ
        @given(mutated(model.id))
        def of_nearly_valid(body: dict[str, Any]) -> None:
            send(gateway, customer, json.dumps(body).encode(), client)

        @FUZZ
        @given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
        def of_anything(body: bytes) -> None:
            assert send(gateway, customer, body, client).status == 400

        of_nearly_valid()
        of_anything()
    assert customer.balance()["held_nanos"] == 0
    assert customer.books.broken_rules() == []
