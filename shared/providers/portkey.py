"""Portkey: a gateway to providers that are set up in its own catalog."""

from shared.core.ids import ProviderSlug
from shared.providers.record import Provider

# The provider behind it is named by the model, `@<provider slug>/<model>`, so that one key is enough.
# source  https://portkey.ai/docs/api-reference/inference-api/headers, https://portkey.ai/docs/product/model-catalog
# It reports no cost, and what a cut stream cost depends on the provider behind it.
# embeddings_path, encoding_format  https://portkey.ai/docs/api-reference/inference-api/embeddings
# images_path  https://portkey.ai/docs/product/ai-gateway/multimodal-capabilities/image-generation
PORTKEY = Provider(
    slug=ProviderSlug("portkey"),
    name="Portkey",
    url="https://portkey.ai",
    base_url="https://api.portkey.ai/v1",
    auth_header="x-portkey-api-key",
    auth_scheme="",
    embeddings_path="/embeddings",
    knows_encoding_format=True,
    images_path="/images/generations",
)
