"""Which reader reads whose list."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from shared.core.ids import ProviderSlug
from shared.providers.model_lists.chutes import read_chutes
from shared.providers.model_lists.featherless import read_featherless
from shared.providers.model_lists.listing import ModelList
from shared.providers.model_lists.openrouter import read_openrouter
from shared.providers.model_lists.portkey import read_portkey

# OpenRouter's first: its ids are ours, and the others' models are looked for among them.
READERS: Mapping[ProviderSlug, Callable[[bytes], ModelList]] = MappingProxyType(
    {
        ProviderSlug("openrouter"): read_openrouter,
        ProviderSlug("chutes"): read_chutes,
        ProviderSlug("portkey"): read_portkey,
        ProviderSlug("featherless"): read_featherless,
    }
)
