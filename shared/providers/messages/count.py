"""POST /v1/messages/count_tokens: the most that a prompt may have, without a look at its model."""

from typing import Any

from shared.providers.messages.request import Translated
from shared.providers.request_counts import count_request

# What Anthropic's models take for an image of the largest size that is not scaled down.
# source  https://platform.claude.com/docs/en/build-with-claude/vision
IMAGE_TOKENS = 1600


def estimate_tokens(translated: Translated) -> dict[str, Any]:
    """Return the answer to a count_tokens request, marked as the upper estimate that it is.

    Text weighs what it does in a hold; an image as much as one of Anthropic's, whatever the model takes for it.
    """
    counts = count_request(translated.chat_body)
    return {"input_tokens": counts.prompt_tokens + counts.image_count * IMAGE_TOKENS, "is_estimate": True}
