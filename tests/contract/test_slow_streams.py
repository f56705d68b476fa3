"""Official clients while a provider is slow: our pings are none of their events."""

import asyncio

from tests.contract.clients import MakeClient, RunNode
from tests.functions.chat.client import words
from tests.harness.tenants import Models, Tenant, Tenants, TestModel


async def test_a_slow_stream_with_pings_is_read_to_its_end(
    client_of: MakeClient, run_node: RunNode, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=3,first_byte_ms=5200")
    by_node, by_python = await asyncio.gather(
        asyncio.to_thread(run_node, "streamed", customer, model),
        asyncio.to_thread(_read_with_python, client_of, customer, model),
    )
    assert by_node["answer"]["content"] == by_python == words(3)


def _read_with_python(client_of: MakeClient, customer: Tenant, model: TestModel) -> str:
    stream = client_of(customer).chat.completions.create(
        model=model.id, messages=[{"role": "user", "content": "Say something."}], stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
