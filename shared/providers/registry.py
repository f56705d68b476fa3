"""Every provider that the gateway can reach."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.core.ids import ProviderSlug
from shared.providers.chutes import CHUTES
from shared.providers.featherless import FEATHERLESS
from shared.providers.openrouter import OPENROUTER
from shared.providers.portkey import PORTKEY
from shared.providers.record import Provider
from shared.providers.simulated import SIMULATED

PROVIDERS: Mapping[ProviderSlug, Provider] = MappingProxyType(
    {provider.slug: provider for provider in (OPENROUTER, PORTKEY, FEATHERLESS, CHUTES, SIMULATED)}
)
