"""Who may use a key, from where, for what and how often; a refusal holds and counts nothing."""

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.books import MODEL, Books
from tests.sql.claims import set_account
from tests.sql.customers import Customer, bounds_of, hmac_of, make_customer, make_model, secrets_of

# Who names no output means text; who names no size or quality, the default.
NEEDED = [name for name in bounds_of(0) if name not in ("output", "image_size", "image_quality")]


def _refused(customer: Customer, **request: Any) -> tuple[int, str, Any]:
    """Ask, be refused, and prove that nothing moved."""
    before = customer.counted(), customer.balance()
    answer = customer.admit(**{"tokens": 10, **request})
    assert answer["verdict"] == "refused", answer
    assert (customer.counted(), customer.balance()) == before
    return answer["status"], answer["code"], answer["numbers"]


def test_unknown_revoked_and_expired_keys_are_refused_in_the_same_words(books: Books) -> None:
    unknown = make_customer(books, credit=100)
    revoked, expired = make_customer(books, credit=100), make_customer(books, credit=100)
    revoked.set_key(is_active=False)
    expired.set_key(expires_at=books.now())
    answers = [
        unknown.admit(tokens=10, key_hmacs=[hmac_of("no such key")]),
        revoked.admit(tokens=10),
        expired.admit(tokens=10),
    ]
    assert answers == [{"verdict": "refused", "status": 401, "code": "invalid_api_key", "numbers": {}}] * 3
    assert [customer.counted() for customer in (unknown, revoked, expired)] == [(0, 0, 0)] * 3


def test_a_key_works_until_the_moment_it_expires(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(expires_at=books.now() + timedelta(seconds=1))
    customer.admitted(tokens=10)
    books.pass_time(seconds=1)
    assert _refused(customer)[:2] == (401, "invalid_api_key")


def test_a_refusal_tells_the_limiter_the_keys_policy_but_not_for_an_invalid_key(books: Books) -> None:
    customer = make_customer(books)
    assert customer.admit(tokens=10)["policy"]["account_id"] == customer.account_id
    customer.set_key(is_active=False)
    assert "policy" not in customer.admit(tokens=10)


def test_a_suspended_account_is_refused(books: Books) -> None:
    customer = make_customer(books, credit=100)
    set_account(customer, status="suspended")
    assert _refused(customer) == (403, "account_suspended", {})


def test_a_key_of_a_deleted_account_is_refused_as_one_that_nobody_has(books: Books) -> None:
    customer = make_customer(books, credit=100)
    set_account(customer, status="deleted")
    newest = hmac_of(f"newest {uuid.uuid4()}")
    refused = customer.admit(tokens=10, key_hmacs=[newest, customer.key_hmac])
    assert refused == {"verdict": "refused", "status": 401, "code": "invalid_api_key", "numbers": {}}
    assert secrets_of(customer) == [customer.key_hmac]


def test_a_key_without_the_scope_is_refused(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(scopes=["models:read"])
    assert _refused(customer) == (403, "missing_scope", {"scope": "inference"})
    customer.admitted(tokens=10, scope="models:read")


def test_a_request_that_asks_for_no_scope_is_not_admitted(books: Books) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        make_customer(books, credit=100).admit(tokens=10, scope=None)


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.255"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8:ffff::7"),
        ("0.0.0.0/0", "203.0.113.9"),
        ("192.0.2.0/24", "::ffff:192.0.2.9"),
        ("fe80::/10", "fe80::1%eth0"),
    ],
)
def test_a_key_may_be_used_from_its_addresses(books: Books, allowed: str, address: str) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(ip_allowlist=[allowed])
    customer.admitted(tokens=10, address=address)


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        (["192.0.2.7/32"], "192.0.2.8"),
        (["192.0.2.0/24", "198.51.100.0/24"], "192.0.3.0"),
        (["2001:db8::/32"], "2001:db9::1"),
        (["0.0.0.0/0"], "2001:db8::1"),
        (["192.0.2.0/24"], None),
        (["192.0.2.0/24"], "unknown"),
        (["192.0.2.0/24"], ""),
        (["192.0.2.0/24"], "192.0.2.7, 192.0.2.8"),
        ([], "192.0.2.7"),
    ],
)
def test_a_key_bound_to_addresses_is_refused_from_elsewhere(
    books: Books, allowed: list[str], address: str | None
) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(ip_allowlist=allowed)
    assert _refused(customer, address=address) == (403, "address_not_allowed", {})


@pytest.mark.parametrize("address", ["unknown", "", "fe80::1%eth0", None])
def test_an_address_that_cannot_be_read_stops_only_keys_that_are_bound_to_some(
    books: Books, address: str | None
) -> None:
    make_customer(books, credit=100).admitted(tokens=10, address=address)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("example.com", "example.com"),
        ("*.example.com", "app.example.com"),
        ("*.example.com", "a.b.example.com"),
    ],
)
def test_a_key_may_be_used_from_its_domains(books: Books, allowed: str, host: str) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(allowed_domains=["other.test", allowed])
    customer.admitted(tokens=10, origin_host=host)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("example.com", "app.example.com"),
        ("example.com", "example.com.evil.test"),
        ("*.example.com", "example.com"),
        ("*.example.com", "evilexample.com"),
        ("exam_le.com", "example.com"),
        ("example.com", None),
    ],
)
def test_a_key_bound_to_domains_is_refused_from_elsewhere(books: Books, allowed: str, host: str | None) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(allowed_domains=[allowed])
    assert _refused(customer, origin_host=host) == (403, "domain_not_allowed", {})


@pytest.mark.parametrize("globs", [["globs/*"], ["other/*", "globs/a%b_c"], ["*b_c"], ["*"]])
def test_a_key_may_use_the_models_its_globs_match(books: Books, globs: list[str]) -> None:
    customer = make_customer(books, credit=100)
    _ensure_model(books, "globs/a%b_c")
    customer.set_key(model_globs=globs)
    customer.admitted(models=["globs/a%b_c"])


@pytest.mark.parametrize(
    "globs", [["globs/a%"], ["globs/a%b_"], ["globs/_%b_c"], ["GLOBS/*"], ["globs"], ["globs/\\a*"], []]
)
def test_a_glob_matches_literally_but_for_its_stars(books: Books, globs: list[str]) -> None:
    customer = make_customer(books, credit=100)
    _ensure_model(books, "globs/a%b_c")
    customer.set_key(model_globs=globs)
    assert _refused(customer, models=["globs/a%b_c"]) == (403, "model_not_allowed", {"model": "globs/a%b_c"})


def test_every_fallback_must_be_allowed_too(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(model_globs=[MODEL])
    assert _refused(customer, models=[MODEL, "another/model"])[2] == {"model": "another/model"}


def test_a_key_that_has_made_its_requests_is_refused(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(max_requests=2)
    customer.admitted(tokens=10)
    customer.admitted(tokens=10)
    assert _refused(customer) == (429, "key_requests_exhausted", {"limit": 2})


def test_a_voided_request_is_not_counted(books: Books) -> None:
    customer = make_customer(books, credit=100, quotas={"requests_per_day": 1})
    customer.set_key(max_requests=1)
    customer.void(customer.admitted(tokens=10))
    assert customer.counted()[1:] == (0, 0)
    customer.admitted(tokens=10)
    assert _refused(customer)[1] == "key_requests_exhausted"


def test_a_request_asked_for_again_is_counted_once(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(max_requests=1)
    hold_id = customer.admitted(tokens=10)
    again = customer.admit(tokens=10, generation_id=hold_id)
    assert (again["verdict"], again["hold"]["amount_nanos"]) == ("admitted", 10)
    assert customer.balance()["held_nanos"] == 10


def test_the_same_id_under_another_key_is_refused(books: Books) -> None:
    owner, stranger = make_customer(books, credit=100), make_customer(books, credit=100)
    hold_id = owner.admitted(tokens=10)
    assert _refused(stranger, generation_id=hold_id)[:2] == (409, "generation_id_taken")
    assert owner.balance()["held_nanos"] == 10


def test_the_same_id_under_another_key_of_the_account_is_refused(books: Books) -> None:
    customer = make_customer(books, credit=100)
    hold_id = customer.admitted(tokens=10)
    second = {"name": "second", "environment": "live", "key_hmac": hmac_of("second"), "masked": "gw_…"}
    books.call("create_api_key", account_id=customer.account_id, **second)
    assert _refused(customer, generation_id=hold_id, key_hmacs=[hmac_of("second")])[1] == "generation_id_taken"


def test_a_key_found_by_an_older_secret_moves_to_the_newest(books: Books) -> None:
    customer = make_customer(books, credit=100)
    newest = hmac_of(f"newest {uuid.uuid4()}")
    customer.admitted(tokens=10, key_hmacs=[newest, customer.key_hmac])
    customer.admitted(tokens=10, key_hmacs=[newest])
    assert customer.admit(tokens=10)["code"] == "invalid_api_key"


def test_a_revoked_key_stays_where_it_is(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.set_key(is_active=False)
    newest = hmac_of(f"newest {uuid.uuid4()}")
    assert _refused(customer, key_hmacs=[newest, customer.key_hmac])[1] == "invalid_api_key"
    assert secrets_of(customer) == [customer.key_hmac]


@pytest.mark.parametrize("column", ["scopes", "model_globs", "ip_allowlist", "allowed_domains"])
def test_a_list_that_restricts_a_key_holds_no_null(books: Books, column: str) -> None:
    customer = make_customer(books)
    with pytest.raises(psycopg.errors.CheckViolation):
        customer.set_key(**{column: [None]})


@pytest.mark.parametrize("missing", NEEDED)
def test_a_request_without_one_of_its_bounds_is_not_admitted(books: Books, missing: str) -> None:
    customer = make_customer(books, credit=100)
    request: dict[str, Any] = {"tokens": 10, missing: None}
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        customer.admit(**request)
    assert customer.counted() == (0, 0, 0)


@pytest.mark.parametrize("bound", [name for name in NEEDED if bounds_of(0)[name] is not False])
def test_a_negative_bound_is_not_admitted(books: Books, bound: str) -> None:
    request: dict[str, Any] = {"tokens": 10, bound: -1}
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        make_customer(books, credit=100).admit(**request)


def _ensure_model(books: Books, model_id: str) -> None:
    if not books.rows("select id from gateway.models where id = %s", model_id):
        make_model(books, model_id, {"openrouter": {"input_tokens": 0, "output_tokens": 0}})
