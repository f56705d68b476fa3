"""Anthropic's official package for Python against the gateway, unchanged: what it may send, and what is refused."""

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from tests.functions.chat.client import HELLO, words
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants

WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search"}

MakeAnthropic = Callable[[Tenant], anthropic.Anthropic]


@pytest.fixture
def anthropic_of(gateway: RunningGateway) -> Iterator[MakeAnthropic]:
    """Make clients as a customer does: an address and a key."""
    clients: list[anthropic.Anthropic] = []

    def make(tenant: Tenant) -> anthropic.Anthropic:
        clients.append(anthropic.Anthropic(base_url=gateway.url, api_key=tenant.api_key))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


# The newer version takes the temperature away, and the package has no argument for it any more.
@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_a_temperature_reaches_the_provider_under_each_version(
    anthropic_of: MakeAnthropic, tenant: Tenants, make_model: Models, simulator: Simulator, version: str
) -> None:
    model = make_model("tokens=3")
    message: Any = anthropic_of(tenant()).messages.create(
        model=model.id,
        max_tokens=50,
        messages=[{"role": "user", "content": "Say something."}],
        extra_headers={"anthropic-version": version},
        extra_body={"temperature": 0.2},
    )
    assert message.content[0].text == words(3)
    (asked,) = simulator.requests(model.upstream_model)
    assert "temperature" in asked["body_fields"]


@pytest.mark.parametrize(
    ("fields", "error", "type_"),
    [
        ({"model": "nobody/nothing"}, anthropic.NotFoundError, "not_found_error"),
        ({"messages": []}, anthropic.BadRequestError, "invalid_request_error"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error"),
        ({"tools": [WEB_SEARCH]}, anthropic.BadRequestError, "invalid_request_error"),
        ({"extra_headers": {"anthropic-version": "2023-01-01"}}, anthropic.BadRequestError, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.cell("anthropic-python", "errors")
def test_bad_input_is_the_client_s_own_exception(
    *,
    anthropic_of: MakeAnthropic,
    tenant: Tenants,
    make_model: Models,
    fields: dict[str, Any],
    error: type[anthropic.APIStatusError],
    type_: str,
    is_stream: bool,
) -> None:
    asked: dict[str, Any] = {"model": make_model().id, "max_tokens": 50, "messages": HELLO, "stream": is_stream}
    with pytest.raises(error) as caught:
        anthropic_of(tenant()).messages.create(**{**asked, **fields})
    body: Any = caught.value.body
    assert body["error"]["type"] == type_
    assert (caught.value.request_id or "").startswith("req_")
