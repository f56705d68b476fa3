"""Every route that asks a model, with a request of each form that it takes and what that comes to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.core.money import Nanos
from tests.functions.chat.client import Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, TestModel

Body = dict[str, Any]
SCRIPT = "tokens=8,prompt_tokens=10"
CHAT_COST = Nanos(10 * 1_000 + 8 * 2_000)
EMBEDDING_COST = Nanos(10 * 1_000)
IMAGE_COST = Nanos(2 * 40_000_000)


def _chat_model(models: Models, script: str) -> TestModel:
    # A provider that keeps no record of a request: who leaves is settled by what the provider sends.
    return models(script, providers=("featherless",))


def _embedding_model(models: Models, script: str) -> TestModel:
    return models.embedding_model(script)


def _image_model(models: Models, script: str) -> TestModel:
    return models.image_model(script)


@dataclass(frozen=True, slots=True)
class InferenceRoute:
    """One form of request that one route takes; cost_nanos: what it comes to by the script."""

    path: str
    form: str
    fields: Body
    prompt_field: str = "messages"
    cost_nanos: Nanos = CHAT_COST
    make_model: Callable[[Models, str], TestModel] = field(default=_chat_model, repr=False)

    def model(self, models: Models, script: str = "") -> TestModel:
        """Make a model for the route; the script is added to what its cost was reckoned by."""
        return self.make_model(models, f"{SCRIPT},{script}" if script else SCRIPT)

    def body(self, model: TestModel, prompt: str = "Say something.") -> Body:
        """Return a request's body."""
        is_chat = self.prompt_field == "messages"
        told = [{"role": "user", "content": prompt}] if is_chat else prompt
        return {"model": model.id, self.prompt_field: told, **self.fields}

    async def ask(
        self,
        gateway: RunningGateway,
        tenant: Tenant | None,
        model: TestModel,
        *,
        prompt: str = "Say something.",
        **headers: str,
    ) -> Answer:
        """Ask as the tenant, or as nobody."""
        sent = {**(tenant.headers if tenant else {}), **headers}
        return await post(gateway.url, self.body(model, prompt), sent, self.path)


STREAM: Body = {"stream": True}
ANTHROPIC: Body = {"max_tokens": 50}
CHARGED = (
    InferenceRoute("/v1/chat/completions", "whole", {}),
    InferenceRoute("/v1/chat/completions", "stream", STREAM),
    InferenceRoute("/v1/responses", "whole", {}, "input"),
    InferenceRoute("/v1/responses", "stream", STREAM, "input"),
    InferenceRoute("/v1/messages", "whole", ANTHROPIC),
    InferenceRoute("/v1/messages", "stream", ANTHROPIC | STREAM),
    InferenceRoute("/v1/embeddings", "whole", {}, "input", EMBEDDING_COST, _embedding_model),
    InferenceRoute("/images/generate", "whole", {"n": 2}, "prompt", IMAGE_COST, _image_model),
    InferenceRoute("/v1/images/generations", "whole", {"n": 2}, "prompt", IMAGE_COST, _image_model),
)
# These answer without a provider.
FREE = (InferenceRoute("/v1/messages/count_tokens", "whole", {}, cost_nanos=Nanos(0)),)


def _named(routes: tuple[InferenceRoute, ...]) -> list[object]:
    return [pytest.param(route, id=f"{route.path} {route.form}") for route in routes]


EACH_ROUTE = pytest.mark.parametrize("route", _named(CHARGED + FREE))
EACH_CHARGED = pytest.mark.parametrize("route", _named(CHARGED))
EACH_FREE = pytest.mark.parametrize("route", _named(FREE))
