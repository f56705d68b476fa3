"""Portkey: a gateway to providers that are set up in its own catalog."""

from shared.core.ids import ProviderSlug
from shared.providers.record import Provider

# The provider behind it is named by the model, `@<provider slug>/<model>`, so that one key is enough.
# source  https://portkey.ai/docs/api-reference/inference-api/headers, https://portkey.ai/docs/product/model-catalog
# It reports no cost, and what a cut stream cost depends on the provider behind it.
PORTKEY = Provider(
    slug=ProviderSlug("portkey"),
    name="Portkey",
    url="https://portkey.ai",
    base_url="https://api.portkey.ai/v1",
    auth_header="x-portkey-api-key",
    auth_scheme="",
)
