"""What the images function builds once and its routes use."""

import msgspec
from starlette.requests import Request

from shared.core.settings import ImagesSettings
from shared.flows.inference import Inference
from shared.web.auth import Authenticator
from shared.web.resources import kept_resources


class ImagesResources(msgspec.Struct, frozen=True):
    """The function's settings, who it believes to be calling, and its means."""

    settings: ImagesSettings
    authenticator: Authenticator
    inference: Inference


def resources_of(request: Request) -> ImagesResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, ImagesResources)
