"""Named gates that hold answers back until a test opens them."""

import asyncio
from dataclasses import dataclass, field

from infra.local.simulator.script import MAX_WAIT_MS


@dataclass(slots=True)
class Gates:
    """Every gate is closed until it is opened, and then stays open until it is closed again."""

    _opened: dict[str, asyncio.Event] = field(default_factory=dict)
    _waiting: dict[str, int] = field(default_factory=dict)

    async def wait(self, name: str) -> None:
        """Wait until the gate is open.

        raises  TimeoutError after two minutes
        """
        self._waiting[name] = self.waiting(name) + 1
        try:
            async with asyncio.timeout(MAX_WAIT_MS / 1000):
                await self._event(name).wait()
        finally:
            self._waiting[name] -= 1

    def set_open(self, name: str, *, is_open: bool) -> None:
        """Open the gate for all who wait and all who come, or close it."""
        event = self._event(name)
        if is_open:
            event.set()
        else:
            event.clear()

    def is_open(self, name: str) -> bool:
        """Return whether the gate lets everyone through."""
        return name in self._opened and self._opened[name].is_set()

    def waiting(self, name: str) -> int:
        """Return how many answers the gate holds back."""
        return self._waiting.get(name, 0)

    def reset(self) -> None:
        """Let everyone through and forget every gate."""
        for event in self._opened.values():
            event.set()
        self._opened.clear()

    def _event(self, name: str) -> asyncio.Event:
        return self._opened.setdefault(name, asyncio.Event())
