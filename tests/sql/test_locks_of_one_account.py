"""No call holds the locks of two accounts: two that did, each in its own order, would wait for each other."""

import psycopg
import pytest

from tests.sql.books import Books, call
from tests.sql.meetings import ALIKE, CALLS, Meeting, meeting

ALL_CALLS = CALLS | ALIKE
MAKE_TRIAL_DUE = """
    update gateway.trials set started_at = started_at - interval '3 days', ends_at = ends_at - interval '3 days'
     where account_id = %s
"""
REFER = """
    insert into gateway.referrals (referred_id, referrer_id, code, applied_at)
    select %s, account_id, code, now() from gateway.referral_codes where code = %s
"""
READ_REFERRALS = "select referred_id, is_earned, is_settled from gateway.referrals where referred_id = %s"


def _locked_accounts(books: Books) -> set[int]:
    """Name the accounts of which a session has locked the account itself or its wallet."""
    locked: set[int] = set()
    for table, id_name in (("accounts", "id"), ("wallets", "account_id")):
        # Whatever lock it is, and if it is only that of a foreign key: a row that is locked is passed over.
        statement = f"""
            select {id_name} from gateway.{table}
            except select {id_name} from (select {id_name} from gateway.{table} for update skip locked) as free
        """
        locked |= {account_id for (account_id,) in books.rows(statement)}
    return locked


def _related(books: Books, name: str) -> Meeting:
    """Make an account that has brought somebody and was brought by him, where that does not end the call early."""
    at = meeting(books, has_pending=name == "collect")
    if name == "expire trial":
        books.rows("select gateway.make_trial(%s, gateway.clock())", at.owner.account_id)
        books.rows(MAKE_TRIAL_DUE, at.owner.account_id)
    if name != "apply referral":
        books.rows(REFER, at.owner.account_id, at.referral_code)
    return at


@pytest.mark.parametrize("name", ALL_CALLS)
def test_a_call_locks_one_account_at_most(own_ledger: Books, name: str) -> None:
    # Of two, so that a call which works through a list meets a second one.
    first, second = _related(own_ledger, name), _related(own_ledger, name)
    function, arguments = ALL_CALLS[name](second, second.owner.key_hmac)
    assert _locked_accounts(own_ledger) == set()
    with psycopg.connect(own_ledger.url) as session:
        session.execute("set role service_role")
        answer = call(session, function, **arguments)
        locked = _locked_accounts(own_ledger)
        session.rollback()
    assert len(locked) <= 1, (name, locked)
    assert locked <= {first.owner.account_id, second.owner.account_id}
    assert answer.get("verdict") != "refused", answer


def test_what_is_looked_at_sees_a_lock(own_ledger: Books) -> None:
    first, second = _related(own_ledger, "admit"), _related(own_ledger, "admit")
    with psycopg.connect(own_ledger.url) as session:
        session.execute(b"select from gateway.accounts where id = %s for key share", (first.owner.account_id,))
        session.execute(b"select from gateway.wallets where account_id = %s for share", (second.owner.account_id,))
        assert _locked_accounts(own_ledger) == {first.owner.account_id, second.owner.account_id}


def test_a_purchase_that_earns_a_reward_locks_the_buyer_alone(own_ledger: Books) -> None:
    at = _related(own_ledger, "pay")
    own_ledger.rows("delete from gateway.referrals where referrer_id = %s", at.owner.account_id)
    function, arguments = CALLS["pay"](at, at.owner.key_hmac)
    payment = arguments["payment"]
    assert isinstance(payment, dict)
    payment.update(received_cents=2_000, bought_cents=2_000, refunds=[], disputes=[])
    own_ledger.rows("update gateway.checkouts set amount_cents = 2000 where account_id = %s", at.owner.account_id)
    with psycopg.connect(own_ledger.url) as session:
        session.execute("set role service_role")
        assert call(session, function, **arguments)["verdict"] == "posted"
        assert _locked_accounts(own_ledger) == {at.owner.account_id}
    assert own_ledger.rows(READ_REFERRALS, at.owner.account_id) == [(at.owner.account_id, True, False)]
