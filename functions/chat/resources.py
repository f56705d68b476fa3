"""What the chat function builds once and its routes use."""

import msgspec
from starlette.requests import Request

from shared.core.settings import ChatSettings
from shared.flows.inference import Caller, Inference
from shared.web.auth import authenticate


class ChatResources(msgspec.Struct, frozen=True):
    """The function's settings and its means for inference."""

    settings: ChatSettings
    inference: Inference

    def caller_of(self, request: Request) -> Caller:
        """Read who is calling.

        raises  MissingApiKey, InvalidApiKey
        """
        return authenticate(request, self.settings.secret_keys, self.settings.address_source)


def resources_of(request: Request) -> ChatResources:
    """Return what the lifespan built."""
    resources = request.app.state.resources
    assert isinstance(resources, ChatResources)
    return resources
