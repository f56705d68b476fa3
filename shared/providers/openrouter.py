"""OpenRouter: many providers behind one; it reports what it charged."""

from shared.core.ids import ProviderSlug
from shared.providers.record import Provider

# base URL, Bearer  https://openrouter.ai/docs/api-reference/overview
# provider.data_collection       https://openrouter.ai/docs/features/provider-routing
# models_path                    https://openrouter.ai/docs/models (output_modalities)
# generation_path                https://openrouter.ai/docs/api-reference/get-a-generation
# embeddings_path, encoding_format  https://openrouter.ai/docs/api/api-reference/embeddings/create-embeddings
# images_path, image_fields      https://openrouter.ai/docs/api/api-reference/images/create-images
OPENROUTER = Provider(
    slug=ProviderSlug("openrouter"),
    name="OpenRouter",
    url="https://openrouter.ai",
    base_url="https://openrouter.ai/api/v1",
    reports_cost=True,
    honours_data_collection=True,
    models_path="/models?output_modalities=text,embeddings",
    generation_path="/generation",
    embeddings_path="/embeddings",
    knows_encoding_format=True,
    images_path="/images",
    image_fields=("prompt", "n", "output_format", "output_compression", "background"),
)
