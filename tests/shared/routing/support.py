"""Instances of the gateway, as far as they know of providers: each its own memory, over one Redis."""

from dataclasses import dataclass

from shared.clients.redis import Redis
from shared.core.ids import ModelId, ProviderSlug
from shared.routing.health import ProviderHealth, Turn
from shared.routing.offer_health import Breaker
from shared.routing.store import Look, SharedHealth

MODEL = ModelId("maker/model-1")
FIRST, SECOND = ProviderSlug("openrouter"), ProviderSlug("chutes")
BOTH = (FIRST, SECOND)


@dataclass(slots=True)
class Instance:
    """One instance: what it knows, and how it hears of the others."""

    redis: Redis
    memory: ProviderHealth
    shared: SharedHealth

    async def look(self, *models: ModelId) -> Look:
        """Look at models as a request does on its way."""
        look = self.shared.look(models or (MODEL,))
        if look.rider is not None:
            look.rider.take(await run(self.redis, look.rider.script.text, look.rider.arguments))
        return look

    async def turn(self, provider: ProviderSlug = FIRST) -> Turn:
        """Have a request that comes now look, and come to a provider."""
        await self.look()
        return await self.shared.take_turn(provider, MODEL)

    async def answer(self, provider: ProviderSlug = FIRST, *, first_byte_ms: float = 120) -> None:
        """See a provider answer, and tell it."""
        self.memory.record_beginning(provider, MODEL, first_byte_ms=first_byte_ms)
        self.memory.record_answer(provider, MODEL, took_ms=0)
        await self.report()

    async def report(self) -> None:
        """Tell what waits, as the end of a request does."""
        rider = self.shared.report()
        assert rider is not None
        rider.take(await run(self.redis, rider.script.text, rider.arguments))

    async def fail(self, times: int, provider: ProviderSlug = FIRST) -> None:
        """See a provider fail, and tell it."""
        for _ in range(times):
            self.memory.record_failure(provider, MODEL)
        await self.report()

    def breaker(self, provider: ProviderSlug = FIRST) -> Breaker:
        """Tell what the instance thinks of a provider."""
        return self.memory.of(provider, MODEL).breaker(self.memory.now_ms)


async def run(redis: Redis, text: str, arguments: tuple[str | int, ...]) -> object:
    """Run a script."""
    return await redis.command("EVAL", text, 0, *arguments)
