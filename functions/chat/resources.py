"""What the chat function builds once and its routes use."""

import msgspec
from starlette.requests import Request

from shared.core.settings import ChatSettings
from shared.flows.ask import Desk
from shared.flows.inference import Inference
from shared.flows.store_response import Archive
from shared.history.chats import History
from shared.web.auth import Authenticator
from shared.web.resources import kept_resources


class ChatResources(msgspec.Struct, frozen=True):
    """The function's settings, who it believes to be calling, and its means.

    archive: where responses are stored; history: where sessions are
    """

    settings: ChatSettings
    authenticator: Authenticator
    desk: Desk
    inference: Inference
    archive: Archive
    history: History


def resources_of(request: Request) -> ChatResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, ChatResources)
