"""Of the shared set of requests those about what is people's own: their keys and their account."""

from collections.abc import Iterator, Mapping

from tests.deploy.same_answers import EVENT, JSON, KEY, LIMITS, LINE, PERSON, Question
from tests.functions.keys.client import KEYS

Headers = Mapping[str, str]

USER = "/user"
CSV = {"Accept": "text/csv"}
# Of nobody's key.
NO_KEY = "key_999999999999"
# Long past: nobody in these tests has used anything then.
PAST_DAYS = "from=2026-01-01&to=2026-01-02"


def people_questions(rich: Headers, owner: Headers) -> Iterator[Question]:
    """Return the questions; rich has a key that may not look at the account, owner's may do everything."""
    yield from _refused_questions(rich)
    yield from _key_questions(owner)
    yield from _account_questions(owner)


def _refused_questions(rich: Headers) -> Iterator[Question]:
    for path in ("/v1/key", KEYS, f"{USER}/balance"):
        yield Question(f"{path} without a key", "GET", path)
        yield Question(f"{path} with a mistyped key", "GET", path, {"Authorization": "Bearer gw_live_mistyped"})
        yield Question(
            f"{path} by a wrong method", "POST" if path == "/v1/key" else "PATCH", path, {**JSON, **rich}, {}
        )
    for path in (KEYS, f"{USER}/balance", f"{USER}/activity", f"{USER}/transactions"):
        yield Question(f"{path} with a key that may not", "GET", path, rich)
    origin = {"Origin": "https://app.example", "Access-Control-Request-Headers": "authorization, content-type"}
    for method, path in (("PATCH", f"{KEYS}/{NO_KEY}"), ("POST", "/auth/privy"), ("PUT", f"{USER}/profile")):
        preflight = {**origin, "Access-Control-Request-Method": method}
        yield Question(f"preflight of {method} {path}", "OPTIONS", path, preflight)
    for path in (USER, f"{USER}/nothing", f"{USER}/api-keys/{NO_KEY}/nothing", "/auth/nothing", "/v1/key/nothing"):
        yield Question(f"the unknown path {path}", "GET", path, rich)


def _key_questions(owner: Headers) -> Iterator[Question]:
    sent = {**JSON, **owner}
    yield Question("the key in use", "GET", "/v1/key", owner, varying=KEY)
    new = {"name": "Schlüssel für 世界", "environment": "live", "scopes": ["inference"], "expires_in_days": 30}
    once = {**sent, "Idempotency-Key": "made-once", "Origin": "https://app.example"}
    yield Question("a key is made", "POST", KEYS, once, new, varying=KEY)
    yield Question("the same is sent again", "POST", KEYS, once, new, varying=KEY)
    yield Question("another under the same Idempotency-Key", "POST", KEYS, once, {**new, "name": "other"})
    yield Question("a name that is taken", "POST", KEYS, sent, new)
    yield Question("a key without a name", "POST", KEYS, sent, {"environment": "live"})
    yield Question("a key with a field too many", "POST", KEYS, sent, {**new, "owner": 1})
    yield Question("a key with no network", "POST", KEYS, sent, {**new, "name": "n", "ip_allowlist": ["1.2.3.4/99"]})
    yield Question("a key that is no JSON", "POST", KEYS, sent, b"{not json")
    yield Question("the keys", "GET", f"{KEYS}?limit=100", owner, varying=KEY)
    yield Question("the first of the keys", "GET", f"{KEYS}?limit=1", owner, varying=KEY | {"next"})
    yield Question("the keys, a wrong query", "GET", f"{KEYS}?limit=0", owner)
    yield Question("the usage of the keys", "GET", f"{KEYS}/usage?days=1", owner, varying=KEY | {"since"})
    yield Question("what was done to the keys", "GET", f"{KEYS}/audit-logs", owner, varying=EVENT)
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/collect")):
        body = {"name": "n"} if method == "PATCH" else None
        yield Question(f"{method} {path} of a key that is not there", method, f"{KEYS}/{NO_KEY}{path}", sent, body)


def _account_questions(owner: Headers) -> Iterator[Question]:
    sent = {**JSON, **owner}
    yield Question("the balance", "GET", f"{USER}/balance", owner)
    yield Question("the profile", "GET", f"{USER}/profile", owner, varying=PERSON)
    yield Question("the profile is changed", "PATCH", f"{USER}/profile", sent, {"name": "Ada 世界"}, varying=PERSON)
    yield Question("the profile, a wrong change", "PUT", f"{USER}/profile", sent, {"email": "a@b.example"})
    for path in ("limits", "limit"):
        yield Question(f"the account's {path}", "GET", f"{USER}/{path}", owner, varying=LIMITS)
    for path in ("transactions", "credit-transactions"):
        yield Question(f"the account's {path}", "GET", f"{USER}/{path}", owner, varying=LINE)
    yield Question("the transactions, a wrong query", "GET", f"{USER}/transactions?kind=gift", owner)
    for path in ("activity", "activity/log"):
        yield Question(f"the account's {path}", "GET", f"{USER}/{path}", owner)
    yield Question("the activity as CSV", "GET", f"{USER}/activity", {**owner, **CSV})
    yield Question("what was used on some days", "GET", f"{USER}/activity/stats?{PAST_DAYS}", owner)
    yield Question("the e-mails", "GET", f"{USER}/notifications/preferences", owner)
    yield Question(
        "the e-mails are changed", "PUT", f"{USER}/notifications/preferences", sent, {"low_balance_threshold": "5"}
    )
    yield Question("an e-mail to who has told no address", "POST", f"{USER}/notifications/test", sent, {})
    yield Question("an account that is not to be deleted", "DELETE", f"{USER}/account", sent, {"confirmation": "yes"})
    yield Question("the account is deleted", "DELETE", f"{USER}/account", sent, {"confirmation": "DELETE_ACCOUNT"})
    yield Question("the key of a deleted account", "GET", "/v1/key", owner)
