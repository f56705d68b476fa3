"""Everyone who may not, each with what he presents, what is his, and what he is to be told."""

from collections.abc import Callable
from dataclasses import dataclass, field

from infra.local.privy_tokens import SigningKey
from shared.core.scopes import USER_SCOPES, Scope
from shared.keys.format import generate_secret
from tests.access.people import Owner, Town, number_of
from tests.access.requests import Belongings, bearer
from tests.functions.keys.client import KEYS, Holder, run_sql
from tests.functions.test_access import DeclaredRoute
from tests.harness.privy import hmac_signed_token, new_privy_id, unsigned_token

ELSEWHERE = "203.0.113.0/24"
EXPIRE = "update gateway.api_keys set expires_at = clock_timestamp() where id = %s"
END_OVERLAP = (
    "update gateway.key_secrets set expires_at = clock_timestamp() where key_id = %s and expires_at is not null"
)
SUSPEND = "update gateway.accounts set status = 'suspended' where id = %s"
DISPUTE = """
    with disputed as (update gateway.accounts set dispute_status = 'open' where id = %s returning id)
    insert into gateway.payments (id, account_id, kind, status, dispute_status)
    select 'pi_disputed' || id, id, 'credits', 'failed', 'open' from disputed
"""
UNKNOWN_KEY = (401, "invalid_api_key")

# None: he is answered as whoever may call the route.
Verdict = tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class Intruder:
    """Someone with something that is no good, or not for this."""

    name: str
    verdict: Callable[[DeclaredRoute], Verdict]
    headers: Callable[[DeclaredRoute], dict[str, str]] = field(repr=False)
    belongings: Belongings


async def make_intruders(town: Town) -> list[Intruder]:
    """Make one of each kind."""
    owner = await town.new_owner()
    return [
        *await _with_no_key_of_ours(town, owner),
        *await _with_keys_that_have_ended(owner),
        *await _with_keys_for_something_else(owner),
        *_with_tokens_of_nobody(town, owner),
        *await _of_blocked_accounts(town, "suspended", SUSPEND, "account_suspended"),
        *await _of_blocked_accounts(town, "disputed", DISPUTE, "payment_disputed"),
        *await _of_deleted_accounts(town),
    ]


async def _with_no_key_of_ours(town: Town, owner: Owner) -> list[Intruder]:
    secret = owner.holder.secret
    mistyped = secret[:-8] + ("a" if secret[-8] != "a" else "b") + secret[-7:]
    good_behind_bad = {**bearer(generate_secret("live")), "x-api-key": secret}
    return [
        _intruder("no key", (401, "missing_api_key"), {}, owner),
        _intruder("an empty key", (401, "missing_api_key"), {"Authorization": "Bearer ", "x-api-key": ""}, owner),
        _intruder("a key as a cookie", (401, "missing_api_key"), {"Cookie": f"api_key={secret}"}, owner),
        _intruder("a mistyped key", UNKNOWN_KEY, bearer(mistyped), owner),
        _intruder("a key of another environment", UNKNOWN_KEY, bearer(secret.replace("live", "test")), owner),
        _intruder("an unknown key", UNKNOWN_KEY, bearer(generate_secret("live")), owner),
        _intruder("an unknown key in x-api-key", UNKNOWN_KEY, {"x-api-key": generate_secret("test")}, owner),
        _intruder("a good key behind an unknown one", UNKNOWN_KEY, good_behind_bad, owner),
    ]


async def _with_keys_that_have_ended(owner: Owner) -> list[Intruder]:
    """Of each kind one that the limiter knows from before, and one that was never used."""
    database_url, holder = owner.database_url, owner.holder
    ended: dict[str, Holder] = {}
    for is_used in (True, False):
        suffix = ", once used" if is_used else ", never used"
        kinds = ("revoked", "expired", "rotated away", "after its overlap", "switched off")
        keys = {kind: await holder.make(name=kind + suffix) for kind in kinds}
        if is_used:
            for key in keys.values():
                assert (await key.call("GET", "/v1/key")).status == 200
        assert (await holder.call("DELETE", f"{KEYS}/{keys['revoked'].id}")).status == 204
        run_sql(database_url, EXPIRE, number_of(keys["expired"].id))
        for kind, hours in (("rotated away", 0), ("after its overlap", 1)):
            rotated = await holder.call("POST", f"{KEYS}/{keys[kind].id}/rotate", {"overlap_hours": hours})
            assert rotated.status == 200
        run_sql(database_url, END_OVERLAP, number_of(keys["after its overlap"].id))
        await holder.change(keys["switched off"], is_active=False)
        ended |= {kind + suffix: key for kind, key in keys.items()}
    return [_intruder(f"a key: {name}", UNKNOWN_KEY, bearer(key.secret), owner) for name, key in ended.items()]


async def _with_keys_for_something_else(owner: Owner) -> list[Intruder]:
    async def key(name: str, **settings: object) -> Holder:
        return await owner.holder.make(name=name, scopes=list(USER_SCOPES), **settings)

    elsewhere = bearer((await key("elsewhere", ip_allowlist=[ELSEWHERE])).secret)
    page = bearer((await key("of a page", allowed_domains=["app.example", "*.apps.example"])).secret)
    lacking = {
        scope: await owner.holder.make(name=f"without {scope}", scopes=[one for one in USER_SCOPES if one != scope])
        for scope in USER_SCOPES
    }
    origins: dict[str, dict[str, str]] = {
        "no page": {},
        "another page": {"Origin": "https://evil.example"},
        "a page that ends alike": {"Origin": "https://evil-apps.example"},
        "the name above": {"Origin": "https://apps.example"},
        "a page that begins alike": {"Origin": "https://app.example.evil.example"},
        "a page from nowhere": {"Origin": "null"},
        "a page that others refer to": {"Origin": "https://evil.example", "Referer": "https://app.example/"},
    }
    return [
        _intruder("a key of other addresses", (403, "address_not_allowed"), elsewhere, owner),
        *(
            _intruder(f"a page's key on {name}", (403, "domain_not_allowed"), {**page, **headers}, owner)
            for name, headers in origins.items()
        ),
        Intruder("a key without the scope", _lacking, _one_without_its_scope(lacking, owner), owner.belongings),
    ]


def _one_without_its_scope(lacking: dict[Scope, Holder], owner: Owner) -> Callable[[DeclaredRoute], dict[str, str]]:
    return lambda route: bearer((lacking[route.access.scope] if route.access.scope else owner.holder).secret)


def _with_tokens_of_nobody(town: Town, owner: Owner) -> list[Intruder]:
    privy, who = town.privy, new_privy_id()
    claims, header = privy.access_claims(who), {"alg": "none", "typ": "JWT"}
    forged = {
        "signed by someone else": SigningKey.generate().sign(claims, kid=privy.key.id),
        "signed by nobody": unsigned_token(claims, header),
        "signed with the public key": hmac_signed_token(
            claims, {"alg": "HS256", "kid": privy.key.id}, privy.key.public_pem.encode()
        ),
        "of another app": privy.access(who, aud="another-app"),
        "expired": privy.access(who, exp=1_600_000_000),
        "an identity token": privy.identity(who, "nobody@example.com"),
        "a role of the database": unsigned_token({"role": "service_role"}, header),
    }
    return [
        _intruder("someone who never signed in", (401, "sign_in_required"), bearer(privy.access(who)), owner),
        *(
            _intruder(f"a forged token: {name}", (401, "invalid_token"), bearer(token), owner)
            for name, token in forged.items()
        ),
    ]


async def _of_blocked_accounts(town: Town, name: str, change: str, code: str) -> list[Intruder]:
    owner = await town.new_owner()
    run_sql(owner.database_url, change, owner.account_id)
    return [
        Intruder(f"a key of a {name} account", _blocked(code), _always(owner.holder), owner.belongings),
        Intruder(f"someone whose account is {name}", _blocked(code), _always(owner.person), owner.belongings),
    ]


async def _of_deleted_accounts(town: Town) -> list[Intruder]:
    owner = await town.new_owner()
    other_key = await owner.holder.make(name="never used")
    answer = await owner.person.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})
    assert answer.status == 204, answer.raw
    return [
        _intruder("a key of a deleted account", UNKNOWN_KEY, bearer(owner.holder.secret), owner),
        _intruder("a key of a deleted account, never used", UNKNOWN_KEY, bearer(other_key.secret), owner),
        _intruder("someone whose account was deleted", (401, "sign_in_required"), bearer(owner.person.secret), owner),
    ]


def _intruder(name: str, verdict: tuple[int, str], headers: dict[str, str], owner: Owner) -> Intruder:
    return Intruder(name, lambda _: verdict, lambda _: headers, owner.belongings)


def _always(holder: Holder) -> Callable[[DeclaredRoute], dict[str, str]]:
    return lambda _: bearer(holder.secret)


def _lacking(route: DeclaredRoute) -> Verdict:
    return None if route.access.scope is None else (403, "missing_scope")


def _blocked(code: str) -> Callable[[DeclaredRoute], Verdict]:
    """Who is suspended, or disputes a payment, may look, pay what he owes, and end a key that has leaked."""

    def verdict(route: DeclaredRoute) -> Verdict:
        scope = route.access.scope
        may_look = scope is None or scope.endswith(":read") or scope == "billing:write"
        may_end_key = (route.method, route.path) == ("DELETE", "/user/api-keys/{key_id}")
        return None if may_look or may_end_key else (403, code)

    return verdict
