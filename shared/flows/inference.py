"""What every inference flow works with: the stores and the providers."""

from collections.abc import Mapping

import msgspec

from shared.clients.collector import Collector
from shared.clients.fernet import Sealer
from shared.clients.upstream import Upstream
from shared.core.ids import ProviderSlug
from shared.core.integrations import ProviderCredentials
from shared.core.metrics import Metrics
from shared.ledger.late import LateSettlements
from shared.ledger.store import Ledger
from shared.limits.store import Limiter
from shared.providers.record import Provider
from shared.providers.registry import PROVIDERS
from shared.providers.simulated import SIMULATED
from shared.routing.health import ProviderHealth
from shared.routing.store import SharedHealth

# The time that a function keeps for itself before the platform ends it: to settle and to say so.
RESERVE_S = 20.0
# Of a short limit on silence (Heroku's is 30 s) no more than this part.
LARGEST_RESERVE = 1 / 3


class ConfiguredProvider(msgspec.Struct, frozen=True):
    """A provider with our credentials for it."""

    record: Provider
    base_url: str
    api_key: str

    @property
    def chat_url(self) -> str:
        """Where chat completions are sent."""
        return f"{self.base_url}{self.record.chat_path}"

    @property
    def models_url(self) -> str:
        """Where its models are listed."""
        return f"{self.base_url}{self.record.models_path}"

    @property
    def embeddings_url(self) -> str:
        """Where embeddings are asked for, of a provider that makes them."""
        return f"{self.base_url}{self.record.embeddings_path}"

    @property
    def images_url(self) -> str:
        """Where images are asked for, of a provider that makes them."""
        return f"{self.base_url}{self.record.images_path}"


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """One function's means for inference, built once.

    sees_hang_ups: the platform tells when a client leaves, and lets us finish then; collector: None where nobody
    collects spans
    units   time_limit_s: the platform's limit on a request; connection_silence_limit_s: its limit on an answer that has
            not begun; silence_limit_s: for how long a provider may send nothing; hold_grace_s: for how long a hold
            outlives its request's own deadline, for a settlement that is slow
    """

    ledger: Ledger
    limiter: Limiter
    late: LateSettlements
    upstream: Upstream
    health: ProviderHealth
    shared_health: SharedHealth
    providers: Mapping[ProviderSlug, ConfiguredProvider]
    time_limit_s: float
    connection_silence_limit_s: float
    silence_limit_s: float
    hold_grace_s: int
    sees_hang_ups: bool
    sealer: Sealer
    collector: Collector | None = None
    metrics: Metrics = Metrics()

    @property
    def has_providers(self) -> bool:
        """Whether there is any but the one that answers test keys inside the function."""
        return any(slug != SIMULATED.slug for slug in self.providers)

    @property
    def deadline_s(self) -> float:
        """How long a request may take before we end it ourselves."""
        return max(1.0, self.time_limit_s - RESERVE_S)

    @property
    def hold_lifetime_s(self) -> int:
        """How long a hold lives."""
        return int(self.deadline_s) + self.hold_grace_s

    @property
    def whole_deadline_s(self) -> float:
        """How long an answer may take that is sent in one piece, and until then not a byte of it."""
        reserve_s = min(RESERVE_S, self.connection_silence_limit_s * LARGEST_RESERVE)
        return max(1.0, min(self.deadline_s, self.connection_silence_limit_s - reserve_s))


def configure_providers(
    credentials: Mapping[ProviderSlug, ProviderCredentials],
) -> dict[ProviderSlug, ConfiguredProvider]:
    """Return the providers that we have credentials for, and the one that answers inside the function."""
    configured = {
        slug: ConfiguredProvider(PROVIDERS[slug], given.base_url or PROVIDERS[slug].base_url, given.api_key)
        for slug, given in credentials.items()
    }
    return {**configured, SIMULATED.slug: ConfiguredProvider(SIMULATED, base_url="", api_key="")}
