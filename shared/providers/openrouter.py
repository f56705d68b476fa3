"""OpenRouter: many providers behind one; it reports what it charged."""

from shared.core.ids import ProviderSlug
from shared.providers.record import Provider

# base URL, Bearer  https://openrouter.ai/docs/api-reference/overview
# provider.data_collection       https://openrouter.ai/docs/features/provider-routing
# generation_path                https://openrouter.ai/docs/api-reference/get-a-generation
OPENROUTER = Provider(
    slug=ProviderSlug("openrouter"),
    name="OpenRouter",
    url="https://openrouter.ai",
    base_url="https://openrouter.ai/api/v1",
    reports_cost=True,
    honours_data_collection=True,
    generation_path="/generation",
)
