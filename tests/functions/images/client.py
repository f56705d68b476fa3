"""A client of the images function."""

from typing import Any

from tests.functions.chat.client import Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel

PATH = "/v1/images/generations"
PROMPT = "A cat on a roof."


async def draw(
    gateway: RunningGateway, tenant: Tenant, model: TestModel | str, /, *, path: str = PATH, **fields: Any
) -> Answer:
    """Ask for images, `fields` put into the request's body, and read the whole answer."""
    name = model if isinstance(model, str) else model.id
    return await post(gateway.url, {"model": name, "prompt": PROMPT, **fields}, tenant.headers, path)
