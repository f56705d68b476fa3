"""A run that uses every secret there is, well and badly, and keeps all that was answered."""

import secrets as random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from tests.access.people import number_of
from tests.access.requests import bearer, open_session
from tests.access.search import Secrets
from tests.functions.chat.client import PATH, Answer
from tests.functions.keys.client import GIVE_ALL_SCOPES, KEYS, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Exchange, Fault, Wire

MAKE_DUE = "update gateway.api_keys set rotates_at = clock_timestamp() - interval '1 second' where id = %s"
# What the simulator says in so many tokens, and nobody else does.
TOKENS, ANSWER = 40, "tok30 tok31 tok32 tok33"
FAILURES = ("status=500", "status=400", "status=429", "garbage=1", "cut=mid_stream", "error_event=1", "usage=garbage")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the run happens: a gateway with secrets of its own, and wires to its stores."""

    gateway: RunningGateway
    supabase: Wire
    redis: Wire
    tenant: Tenants
    make_model: Models
    privy: PrivyTokens
    cron_secret: str = field(repr=False)


class SecretRun:
    """The run; secrets is what must be found nowhere, personal what must not be in logs, in Redis or in refusals."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.secrets = Secrets()
        self.personal = Secrets()
        self.answers: list[tuple[str, Answer]] = []
        self.person = ""
        self.provisioned = ""
        self._session: aiohttp.ClientSession

    async def run(self) -> None:
        """Do everything once."""
        self.secrets.add("the answer", ANSWER)
        async with open_session(self.stage.gateway) as self._session:
            person = self.person = await self._sign_in()
            key_id, key = await self._make_keys(person)
            await self._rotate(person, key_id, key)
            await self._chat(self._paying_key())
            await self._speak_otherwise(self._paying_key())
            await self._fail(key, person)
            await self._settle_late(self._paying_key())
            await self._administer(self._paying_key())
            await self._revoke(person, key_id)

    async def end_account(self) -> None:
        """Delete the account of the person who signed in, and the one that was made for somebody else."""
        async with open_session(self.stage.gateway) as self._session:
            body = {"confirmation": "DELETE_ACCOUNT"}
            for secret in (self.person, self.provisioned):
                assert (await self._call("DELETE", "/user/account", bearer(secret), body)).status == 204

    async def _sign_in(self) -> str:
        who, email = new_privy_id(), f"quetzal.{random.token_hex(6)}@example.com"
        self.personal.add("the Privy id", who)
        self.personal.add("a piece of the Privy id", who[-24:-8])
        self.personal.add("the e-mail address", email)
        access, identity = self.stage.privy.access(who), self.stage.privy.identity(who, email)
        for name, token in (("access", access), ("identity", identity)):
            self.secrets.add(f"the {name} token", token)
            self.secrets.add(f"the signature of the {name} token", token.rpartition(".")[2])
        again = self._idempotency_key("a sign-in")
        for body in ({"token": access}, {"token": access}, {"identity_token": identity}):
            first = await self._call("POST", "/auth/privy", headers=again if "token" in body else {}, body=body)
            if first.json["api_key"]:
                self._key("the first key", first.json["api_key"])
        name = self.personal.add("the name", f"Quetzal {random.token_hex(4)}")
        motto = self.personal.add("a preference", f"quetzals {random.token_hex(4)}")
        await self._call("PATCH", "/user/profile", bearer(access), {"name": name, "preferences": {"motto": motto}})
        return access

    async def _make_keys(self, person: str) -> tuple[str, str]:
        again = {**bearer(person), **self._idempotency_key("a new key")}
        name = self.personal.add("the name of a key", f"quetzal {random.token_hex(4)}")
        body = {"name": name, "rotate_every_days": 7, "scopes": ["inference", "keys:write"]}
        domain = self.personal.add("a domain", f"quetzal-{random.token_hex(4)}.example")
        await self._call("POST", KEYS, bearer(person), {"name": "of a page", "allowed_domains": [domain]})
        first = await self._call("POST", KEYS, again, body)
        assert (await self._call("POST", KEYS, again, body)).json["api_key"] == first.json["api_key"]
        return first.json["id"], self._key("a key", first.json["api_key"])

    async def _rotate(self, person: str, key_id: str, key: str) -> None:
        path, headers = f"{KEYS}/{key_id}", bearer(person)
        for body in ({"overlap_hours": 1}, {"overlap_hours": 0}):
            rotated = await self._call(
                "POST", f"{path}/rotate", {**headers, **self._idempotency_key("a rotation")}, body
            )
            await self._call("GET", "/v1/key", bearer(key))
            key = self._key("a rotated key", rotated.json["api_key"])
        run_sql(self.stage.tenant.database_url, MAKE_DUE, number_of(key_id))
        cron = bearer(self.secrets.add("CRON_SECRET", self.stage.cron_secret))
        assert (await self._call("POST", "/internal/jobs/key_rotation", cron)).json["keys_rotated"] >= 1
        collected = await self._call("POST", f"{path}/collect", {**headers, **self._idempotency_key("a collection")})
        self._key("a collected key", collected.json["api_key"])
        # This one stays to be collected.
        run_sql(self.stage.tenant.database_url, MAKE_DUE, number_of(key_id))
        await self._call("POST", "/internal/jobs/key_rotation", cron)

    def _paying_key(self) -> str:
        tenant = self.stage.tenant()
        run_sql(tenant.database_url, GIVE_ALL_SCOPES, tenant.key_id)
        return self._key("a paying key", tenant.api_key)

    async def _chat(self, key: str) -> None:
        for is_stream in (False, True):
            asked = self._prompt(f"tokens={TOKENS}", stream=is_stream)
            again = {**bearer(key), **self._idempotency_key("an answer")}
            for _ in range(2):
                answer = await self._call("POST", PATH, again, asked)
                assert answer.status == 200, answer.raw
            sdk = {**bearer(key), "x-stainless-retry-count": "0"}
            assert (await self._call("POST", PATH, sdk, asked)).status == 200
            for script in FAILURES:
                await self._call("POST", PATH, again, self._prompt(script, stream=is_stream))

    async def _speak_otherwise(self, key: str) -> None:
        for is_stream in (False, True):
            asked = self._prompt(f"tokens={TOKENS}")
            said = {"model": asked["model"], "stream": is_stream}
            stored = await self._call("POST", "/v1/responses", bearer(key), {**said, "input": asked["messages"]})
            assert stored.status == 200, stored.raw
            turns = {"max_tokens": 2 * TOKENS, "messages": asked["messages"][1:]}
            assert (await self._call("POST", "/v1/messages", {"x-api-key": key}, {**said, **turns})).status == 200
            stored_id = "resp_" + stored.generation_id.removeprefix("gen_")
            assert (await self._call("GET", f"/v1/responses/{stored_id}", bearer(key))).status == 200

    async def _fail(self, key: str, person: str) -> None:
        mistyped, unknown, paying = key[:-4] + "0000", key[:20] + key[20:][::-1], self._paying_key()
        self.secrets.add("a mistyped key", mistyped)
        for bad in (mistyped, unknown, person[:-6] + "AAAAAA", f"sk-{key}"):
            for path in ("/v1/key", "/user/balance", KEYS):
                await self._call("GET", path, bearer(bad))
            await self._call("POST", PATH, bearer(bad), self._prompt("tokens=3"))
        for secret in (key, person, paying):
            await self._misplace(secret, bearer(paying))
        for name in ("messages", "n", "temperature", "stop", "tools", "provider", "stream", "max_tokens"):
            asked = self._prompt("tokens=3")
            await self._call("POST", PATH, bearer(paying), {**asked, name: {asked["user"]: [asked["user"]]}})

    async def _misplace(self, secret: str, headers: dict[str, str]) -> None:
        """Send a secret where none belongs."""
        quoted = secret.replace("+", "%2B")
        for query in ("api_key", "key", "after", "from", "kind", "limit", "model", "status"):
            for path in ("/v1/key", "/user/activity", "/user/transactions", KEYS, "/models"):
                await self._call("GET", f"{path}?{query}={quoted}", headers)
        for path in ("/v1/models", KEYS, "/v1/generations", "/internal/jobs", "", "/user"):
            await self._call("GET", f"{path}/{quoted}", headers)
        await self._call("POST", f"{KEYS}/{quoted}/rotate", headers)
        bodies: list[tuple[str, str, object]] = [
            ("POST", KEYS, {"name": [secret]}),
            ("POST", KEYS, {"name": "one", "scopes": [secret]}),
            ("POST", KEYS, {"name": "one", "ip_allowlist": [secret]}),
            ("POST", KEYS, {"name": "one", "environment": secret}),
            ("POST", KEYS, {"name": "one", secret: True}),
            ("POST", KEYS, {"name": "one", "spend_limit": {"amount": secret}}),
            ("PATCH", "/user/profile", {secret: secret}),
            ("PATCH", "/user/profile", {"preferences": {"a": [secret]}}),
            ("PUT", "/user/notifications/preferences", {"low_balance_threshold": secret}),
            ("DELETE", "/user/account", {"confirmation": secret}),
            ("POST", "/auth/privy", {"token": f"{secret}x"}),
            ("POST", "/auth/privy", {"token": "a.b.c", "referral_code": f"{secret}!"}),
            ("POST", "/auth/privy", {secret: "a.b.c"}),
            ("POST", PATH, {"model": secret, "messages": []}),
            ("POST", PATH, {"model": secret, "messages": [{"role": "user", "content": "Hello"}]}),
            ("POST", PATH, {"model": "none/such", "messages": secret}),
            ("POST", PATH, {"model": "none/such", "messages": [{"role": secret, "content": secret}]}),
            ("POST", PATH, {"model": "none/such", "messages": [], "provider": secret, secret: [secret]}),
            ("POST", PATH, [secret]),
        ]
        for method, path, body in bodies:
            await self._call(method, path, headers, body)
        odd = {"User-Agent": secret, "Referer": f"https://app.example/?{quoted}", "X-Title": secret, "Cookie": secret}
        await self._call("GET", "/v1/key", {**headers, **odd})
        await self._call("POST", KEYS, {**headers, "Idempotency-Key": f"{secret} and more"}, {"name": "one"})

    async def _settle_late(self, key: str) -> None:
        is_settle = partial(_is_call_of, "settle")
        with self.stage.supabase.broken(Fault(status=500, matches=is_settle)):
            await self._call("POST", PATH, bearer(key), self._prompt(f"tokens={TOKENS}"))
        with self.stage.supabase.broken(Fault(status=500, matches=partial(_is_call_of, "admit"))):
            await self._call("POST", PATH, bearer(key), self._prompt("tokens=3"))
        async with self._session.post(
            PATH, json=self._prompt("tokens=40,pace_ms=40", stream=True), headers=bearer(key)
        ) as response:
            await response.content.readany()
            response.close()

    async def _administer(self, key: str) -> None:
        """Make an account for somebody else, credit it, and ask wrongly."""
        secret = self.secrets.add("ADMIN_API_KEY", self.stage.gateway.stack.credentials.admin_api_key)
        operator = bearer(secret)
        new = {"external_id": self.personal.add("an external id", f"shop:{random.token_hex(8)}")}
        new["email"] = self.personal.add("another e-mail address", f"quetzal.{random.token_hex(6)}@example.com")
        again = {**operator, **self._idempotency_key("an account")}
        for _ in range(2):
            made = await self._call("POST", "/admin/users", again, new)
            assert made.status == 201, made.raw
            self._key("a provisioned key", made.json["api_key"])
        user = f"/admin/users/{made.json['user']['id']}"
        credit = {"amount": "1.00", "reason": "a gift"}
        assert (
            await self._call("POST", f"{user}/credits", {**operator, **self._idempotency_key("credit")}, credit)
        ).json
        lost = await self._call("POST", "/admin/create", operator, {**new, "replace_key": True})
        self._key("a replaced key", lost.json["api_key"])
        for path in ("monitor", "users", "audit", "switches", "models", "dead-letters", "ledger/check"):
            assert (await self._call("GET", f"/admin/{path}", operator)).status == 200
            for query in ("user", "after", "from", "window", "kind", "limit"):
                await self._call("GET", f"/admin/{path}?{query}={secret}", operator)
        for bad in (secret[:-1], key):
            await self._call("GET", "/admin/monitor", bearer(bad))
        for name in ("amount", "reason", "user_id"):
            await self._call("POST", "/admin/add_credits", operator, {**credit, name: [secret]})
        self.provisioned = lost.json["api_key"]

    async def _revoke(self, person: str, key_id: str) -> None:
        doomed = await self._call("POST", KEYS, bearer(person), {"name": "doomed"})
        key = self._key("a revoked key", doomed.json["api_key"])
        await self._call("GET", "/v1/key", bearer(key))
        await self._call("DELETE", f"{KEYS}/{doomed.json['id']}", bearer(person))
        assert (await self._call("GET", "/v1/key", bearer(key))).status == 401
        assert (await self._call("GET", f"{KEYS}/{key_id}", bearer(person))).json["has_new_secret"] is True

    def _key(self, name: str, secret: str) -> str:
        """Look for a key, and for pieces of it that are longer than what is shown."""
        random_part = secret.rpartition("_")[2]
        for start in (0, 14, 28):
            self.secrets.add(f"a piece of {name}", random_part[start : start + 14])
        return self.secrets.add(name, secret)

    def _idempotency_key(self, name: str) -> dict[str, str]:
        key = self.secrets.add(f"the Idempotency-Key of {name}", f"quetzal-{random.token_hex(9)}")
        return {"Idempotency-Key": key}

    def _prompt(self, script: str, **fields: Any) -> dict[str, Any]:
        prompt = self.secrets.add("a prompt", f"quetzals {random.token_hex(9)} fly")
        return {
            "model": self.stage.make_model(script).id,
            "messages": [{"role": "system", "content": prompt}, {"role": "user", "content": prompt}],
            "metadata": {"note": prompt},
            "user": prompt,
            **fields,
        }

    async def _call(self, method: str, path: str, headers: dict[str, str], body: object = None) -> Answer:
        async with self._session.request(method, path, json=body, headers=headers) as response:
            answer = Answer(response.status, response.headers.copy(), await _read(response))
        self.answers.append((f"{method} {path.partition('?')[0]}", answer))
        return answer


async def _read(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except aiohttp.ClientPayloadError:
        return b""


def _is_call_of(function: str, exchange: Exchange) -> bool:
    return exchange.path.endswith(f"/{function}")
