"""Chutes: open-weight models on vLLM and SGLang, charged by the token."""

from shared.core.ids import ProviderSlug
from shared.providers.record import Provider

# The gateway serves chat alone; embeddings have a host per model (https://chutes.ai/docs/templates/tei).
# source  https://chutes.ai/llms.txt (shared gateway https://llm.chutes.ai/v1, Bearer)
CHUTES = Provider(
    slug=ProviderSlug("chutes"),
    name="Chutes",
    url="https://chutes.ai",
    base_url="https://llm.chutes.ai/v1",
)
