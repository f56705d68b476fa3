"""OpenRouter: many providers behind one; it reports what it charged and can be asked afterwards."""

from shared.core.ids import ProviderSlug
from shared.providers.record import Provider

# base URL, Bearer, attribution  https://openrouter.ai/docs/api-reference/overview
# a hang-up stops the model and the charge at most of its providers; for the others the look-up says what was charged
#   https://openrouter.ai/docs/api-reference/streaming#stream-cancellation
# generation look-up             https://openrouter.ai/docs/api-reference/get-a-generation
# provider.data_collection       https://openrouter.ai/docs/features/provider-routing
OPENROUTER = Provider(
    slug=ProviderSlug("openrouter"),
    name="OpenRouter",
    url="https://openrouter.ai",
    base_url="https://openrouter.ai/api/v1",
    on_disconnect="cancel",
    reports_cost=True,
    honours_data_collection=True,
    takes_attribution=True,
    generation_path="/generation?id={id}",
)
