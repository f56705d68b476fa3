"""A client of the keys function: someone with a key, on one gateway."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psycopg

from tests.functions.chat.client import HELLO, TIMEOUT, Answer
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel

KEYS = "/user/api-keys"
GIVE_ALL_SCOPES = "update gateway.api_keys set scopes = gateway.user_scopes() where id = %s"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever has a key or a token, and calls the gateway with it."""

    gateway: RunningGateway
    secret: str = field(repr=False)
    id: str = ""

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read the whole answer."""
        sent = {"Authorization": f"Bearer {self.secret}", **(headers or {})}
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.request(method, self.gateway.url + path, json=body, headers=sent) as response,
        ):
            return Answer(response.status, response.headers.copy(), await response.read())

    async def create(self, *, headers: Mapping[str, str] | None = None, **settings: Any) -> Answer:
        """Ask for a key."""
        return await self.call("POST", KEYS, {"name": "a key", **settings}, headers)

    async def make(self, **settings: Any) -> "Holder":
        """Make a key that must be made and return whoever has it."""
        answer = await self.create(**settings)
        assert answer.status == 201, answer.raw
        return Holder(self.gateway, answer.json["api_key"], answer.json["id"])

    async def change(self, key: "Holder", **settings: Any) -> dict[str, Any]:
        """Change a key that must be changed and return what it is now."""
        answer = await self.call("PATCH", f"{KEYS}/{key.id}", settings)
        assert answer.status == 200, answer.raw
        return answer.json

    async def read(self, key: "Holder") -> dict[str, Any]:
        """Return what is shown of a key."""
        answer = await self.call("GET", f"{KEYS}/{key.id}")
        assert answer.status == 200, answer.raw
        return answer.json

    async def complete(self, model: TestModel | str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a completion."""
        name = model if isinstance(model, str) else model.id
        return await self.call("POST", "/v1/chat/completions", {"model": name, "messages": HELLO}, headers)

    def on(self, gateway: RunningGateway) -> "Holder":
        """Return the same one at another gateway."""
        return Holder(gateway, self.secret, self.id)


def owner_of(gateway: RunningGateway, tenant: Tenant) -> Holder:
    """Give a tenant's key every scope and return whoever has it."""
    run_sql(tenant.database_url, GIVE_ALL_SCOPES, tenant.key_id)
    return Holder(gateway, tenant.api_key, f"key_{tenant.key_id}")


def run_sql(database_url: str, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Look into the tables, or change them, beside the gateway."""
    with psycopg.connect(database_url, autocommit=True) as session:
        cursor = session.execute(statement.encode(), arguments)
        return cursor.fetchall() if cursor.description else []


def outcome(answer: Answer) -> str | int:
    """Return the code of a refusal, or the status of what was answered."""
    return answer.status if answer.status < 400 else str(answer.error["code"])
