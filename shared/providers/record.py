"""What the gateway knows of a provider: one record, no code of its own."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from shared.core.ids import ProviderSlug

OutputBoundField = Literal["max_tokens", "max_completion_tokens"]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider, as it documents itself.

    base_url: paths are put behind it. output_bound_field: the name for a bound on output where the client gave none;
    strict: the provider knows no other name. reports_cost: `usage.cost` is what it charged us.
    models_path: where it lists its models. generation_path: where it tells afterwards what an answer used and what it
    took for it; embeddings_path, images_path: where they are made, in OpenAI's dialect. None where it does not offer
    that.
    knows_encoding_format: embeddings come as base64 where they are asked for so. image_fields: what it knows of a
    request for images beside model, size and quality, None for all of it.
    """

    slug: ProviderSlug
    name: str
    url: str
    base_url: str
    auth_header: str = "Authorization"
    auth_scheme: str = "Bearer"
    output_bound_field: OutputBoundField = "max_tokens"
    is_output_bound_field_strict: bool = False
    reports_cost: bool = False
    honours_data_collection: bool = False
    chat_path: str = "/chat/completions"
    models_path: str = "/models"
    generation_path: str | None = None
    embeddings_path: str | None = None
    knows_encoding_format: bool = False
    images_path: str | None = None
    image_fields: tuple[str, ...] | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)

    def authorise(self, api_key: str) -> dict[str, str]:
        """Return the headers that every request to the provider carries."""
        credential = f"{self.auth_scheme} {api_key}" if self.auth_scheme else api_key
        return {self.auth_header: credential, **self.headers}
