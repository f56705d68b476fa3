"""Whoever calls one place with a key or a token."""

from typing import Any

from tests.deploy.same_answers import JSON, Question, Target, put
from tests.functions.chat.client import Answer


class Person:
    """Somebody at one place."""

    def __init__(self, place: Target, secret: str) -> None:
        self._place = place
        self._headers = {**JSON, "Authorization": f"Bearer {secret}"}

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Answer:
        """Ask for something; a header's name is written with underscores."""
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await put(Question(path, method, path, sent, body), self._place.url)

    async def read(self, path: str) -> dict[str, Any]:
        """Return what must be answered."""
        answer = await self.call("GET", path)
        assert answer.status == 200, answer.raw
        return answer.json

    async def order(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what must come of a request."""
        answer = await self.call("POST", path, body)
        assert answer.status == 200, answer.raw
        return answer.json
