"""One model at one simulated provider."""

from dataclasses import dataclass
from decimal import Decimal

PARAMETERS = (
    "frequency_penalty",
    "logprobs",
    "max_tokens",
    "presence_penalty",
    "response_format",
    "seed",
    "stop",
    "structured_outputs",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One model at one provider.

    units   prices: US dollars per million tokens; cached_usd is the price of a prompt token read from the cache
    """

    model: str
    name: str
    input_usd: Decimal
    output_usd: Decimal
    cached_usd: Decimal
    context_length: int
    max_output_tokens: int | None
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    parameters: tuple[str, ...] = PARAMETERS
    model_class: str | None = None
    has_listed_price: bool = False
