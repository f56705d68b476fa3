"""Every rule on requests is seen when it is broken; what breaks it is undone at once."""

import pytest

from tests.sql.books import Books
from tests.sql.claims import answered, claim_of, second_key_of
from tests.sql.customers import make_customer

READ_BROKEN = "select rule from gateway.broken_rules(%s)"
DROP_WALLET_CHECK = "alter table gateway.wallets drop constraint wallets_posted_nanos_check"

# What is broken, by the id of the settled, the running, the superseded, the retry, or of the account.
BREAKS: dict[str, tuple[str, str]] = {
    "a claim belongs to a hold of its key": (
        "update gateway.replays set key_id = key_id + 1 where generation_id = %s",
        "settled",
    ),
    "a voided, waived or superseded request has no claim": (
        "update gateway.usage_lines set waived_reason = 'because' where generation_id = %s",
        "settled",
    ),
    "only a settled request has an answer": (
        "update gateway.replays set answer = 'early' where generation_id = %s",
        "running",
    ),
    "a superseded request is not charged": (
        "update gateway.usage_lines set cost_nanos = 1, shortfall_nanos = 1 where generation_id = %s",
        "superseded",
    ),
    "a request is superseded by a later one of its key, after its own time": (
        "update gateway.holds set superseded_by = gen_random_uuid() where id = %s",
        "superseded",
    ),
    "a request moves money in its one settlement": (
        "insert into gateway.transfers (idempotency_key, line_number, debit_account, credit_account, amount_nanos,"
        " kind, generation_id) values ('again', 1, 2, 3, 1, 'provider_cost', %s)",
        "settled",
    ),
    "no wallet is below zero": (
        "update gateway.wallets set posted_nanos = -1 where account_id = %s",
        "account",
    ),
    "no hold outlives its time by an hour": (
        "update gateway.holds set expires_at = gateway.clock() - interval '61 minutes' where id = %s",
        "running",
    ),
}


@pytest.mark.parametrize("rule", sorted(BREAKS))
def test_a_broken_rule_on_requests_is_named(books: Books, rule: str) -> None:
    customer = make_customer(books, credit=1000)
    second_key_of(customer, "other")
    dead = customer.admitted(tokens=10, lifetime_s=10, claim=claim_of("k"))
    books.pass_time(seconds=10)
    subjects: dict[str, object] = {
        "settled": answered(customer, claim_of("k")),
        "running": customer.admitted(tokens=10, claim=claim_of("m")),
        "superseded": dead,
        "account": customer.account_id,
    }
    customer.settle(dead, 10)
    assert books.rows(READ_BROKEN, customer.account_id) == []
    statement, subject = BREAKS[rule]
    with books.owner.transaction(force_rollback=True):
        books.rows(DROP_WALLET_CHECK)
        books.rows(statement, subjects[subject])
        assert (rule,) in books.rows(READ_BROKEN, customer.account_id)
        assert (rule,) in books.rows(READ_BROKEN, None)
    assert books.rows(READ_BROKEN, customer.account_id) == []
