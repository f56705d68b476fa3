"""Featherless: open-weight models under a subscription with a concurrency limit."""

from shared.core.ids import ProviderSlug
from shared.providers.record import Provider

# source  https://featherless.ai/docs/api-overview-and-common-options, https://featherless.ai/docs/completions
# embeddings_path  https://featherless.ai/docs/embeddings, which knows texts alone and speaks of no encoding
FEATHERLESS = Provider(
    slug=ProviderSlug("featherless"),
    name="Featherless",
    url="https://featherless.ai",
    base_url="https://api.featherless.ai/v1",
    is_output_bound_field_strict=True,
    embeddings_path="/embeddings",
)
