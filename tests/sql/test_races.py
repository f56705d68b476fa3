import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sql.books import MODEL, Books
from tests.sql.customers import Customer, bounds_of, make_customer, settlement
from tests.sql.races import CONNECTIONS, Call, Crowd, crowd_of

PRICE = 1000

# How it must not be done: one statement that locks the wallet and sums its lots sums what it saw before it waited.
LOCK_AND_SUM_AT_ONCE = """
    create or replace function gateway.lock_wallet(p_account_id bigint) returns timestamptz
    language plpgsql as $$ begin return gateway.clock(); end $$;

    create or replace function gateway.take_into_hold(
        p_hold_id uuid, p_account_id bigint, p_amount bigint, p_now timestamptz
    ) returns bigint language plpgsql as $$
    declare
        v_available bigint;
        v_rest      bigint := p_amount;
        v_position  smallint := 0;
        v_part      bigint;
        v_lot       gateway.lots;
    begin
        select (select coalesce(sum(remaining_nanos), 0) from gateway.lots where account_id = wallet.account_id)
          into v_available
          from gateway.wallets as wallet where wallet.account_id = p_account_id for no key update;
        if p_amount > v_available then
            return v_available;
        end if;
        for v_lot in select * from gateway.live_lots(p_account_id, p_now) loop
            exit when v_rest = 0;
            v_part := least(v_rest, v_lot.remaining_nanos);
            v_position := v_position + 1;
            insert into gateway.hold_parts (hold_id, position, lot_id, amount_nanos)
            values (p_hold_id, v_position, v_lot.id, v_part);
            update gateway.lots set remaining_nanos = remaining_nanos - v_part where id = v_lot.id;
            v_rest := v_rest - v_part;
        end loop;
        return v_available;
    end $$;
"""


@pytest.fixture(scope="module")
def crowd(books: Books) -> Iterator[Crowd]:
    with crowd_of(books, 50) as crowd:
        yield crowd


def _admission(customer: Customer, generation_id: uuid.UUID, tokens: int = PRICE) -> Call:
    return "admit", {
        "generation_id": generation_id,
        "caller": customer.caller(),
        "models": [MODEL],
        "providers": None,
        "request": bounds_of(tokens),
        "lifetime_s": 600,
    }


def _race_of_300_admissions(books: Books) -> tuple[list[uuid.UUID], list[Any], Customer]:
    """Let 300 ask, 100 at a time, where ten are paid for; return those admitted and the other answers."""
    customer = make_customer(books, credit=10 * PRICE)
    admitted, refusals = [], []
    with crowd_of(books, CONNECTIONS) as crowd:
        for _ in range(3):
            ids = [uuid.uuid4() for _ in range(CONNECTIONS)]
            answers = crowd.call_at_once(customer.account_id, [_admission(customer, hold_id) for hold_id in ids])
            admitted += [
                hold_id for hold_id, answer in zip(ids, answers, strict=True) if answer["verdict"] == "admitted"
            ]
            refusals += [answer for answer in answers if answer["verdict"] != "admitted"]
    return admitted, refusals, customer


def test_of_300_admissions_at_once_exactly_those_that_are_paid_for_pass(own_ledger: Books) -> None:
    admitted, refusals, customer = _race_of_300_admissions(own_ledger)
    assert len(admitted) == 10
    assert [refusal["code"] for refusal in refusals] == ["insufficient_credits"] * 290
    assert all(refusal["numbers"] == {"available_nanos": 0, "required_nanos": PRICE} for refusal in refusals)
    assert customer.balance() == {
        "posted_nanos": 10 * PRICE,
        "owed_nanos": 0,
        "held_nanos": 10 * PRICE,
        "available_nanos": 0,
    }
    for hold_id in admitted:
        assert customer.settle(hold_id, PRICE)["charged_nanos"] == PRICE
    assert customer.balance()["posted_nanos"] == 0
    assert own_ledger.broken_rules() == []


def test_the_race_catches_a_statement_that_locks_and_sums_at_once(own_ledger: Books) -> None:
    own_ledger.owner.execute(LOCK_AND_SUM_AT_ONCE)
    admitted, _, customer = _race_of_300_admissions(own_ledger)
    assert len(admitted) > 10
    assert own_ledger.broken_rules(customer.account_id) != []


def test_fifty_deliveries_of_one_credit_make_one_lot(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books)
    credit = {"account_id": customer.account_id, "amount_nanos": 700, "kind": "purchase", "idempotency_key": "once"}
    answers = crowd.call_at_once(customer.account_id, [("credit_account", credit)] * 50)
    assert Counter(answer["is_repeated"] for answer in answers) == {False: 1, True: 49}
    assert {answer["moved_nanos"] for answer in answers} == {700}
    assert books.value("select count(*) from gateway.lots where account_id = %s", customer.account_id) == 1
    assert customer.balance()["posted_nanos"] == 700


def test_deliveries_that_differ_in_amount_credit_one_and_refuse_the_others(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books)
    amounts = [500 + number % 2 for number in range(40)]
    shared = {"account_id": customer.account_id, "kind": "purchase", "idempotency_key": "once"}
    calls: list[Call] = [("credit_account", {**shared, "amount_nanos": amount}) for amount in amounts]
    answers = crowd.call_at_once(customer.account_id, calls)
    (first,) = [answer for answer in answers if answer.get("is_repeated") is False]
    refused = [answer for answer in answers if answer["verdict"] == "refused"]
    assert {(answer["status"], answer["code"]) for answer in refused} == {(409, "idempotency_key_reused")}
    assert len(refused) == 20
    assert customer.balance()["posted_nanos"] == first["moved_nanos"]


def test_twenty_settlements_of_one_hold_charge_once(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books, credit=5000)
    hold_id = customer.admitted(tokens=1000)
    calls: list[Call] = [
        ("settle", {"generation_id": hold_id, **settlement(books, tokens)}) for tokens in range(800, 820)
    ]
    answers = crowd.call_at_once(customer.account_id, calls)
    assert Counter(answer["is_repeated"] for answer in answers) == {False: 1, True: 19}
    (charged,) = {answer["charged_nanos"] for answer in answers}
    assert customer.balance() == {
        "posted_nanos": 5000 - charged,
        "owed_nanos": 0,
        "held_nanos": 0,
        "available_nanos": 5000 - charged,
    }
    assert books.broken_rules(customer.account_id) == []


def test_a_settlement_and_a_void_at_once_end_a_hold_once(books: Books, crowd: Crowd) -> None:
    for _ in range(5):
        customer = make_customer(books, credit=1000)
        hold_id = customer.admitted(tokens=1000)
        settle: Call = ("settle", {"generation_id": hold_id, **settlement(books, 600)})
        void: Call = ("void_hold", {"generation_id": hold_id})
        answers = crowd.call_at_once(customer.account_id, [settle, void] * 6)
        settled = [answer for answer in answers if answer.get("is_repeated") is False]
        voided = [answer for answer in answers if answer["verdict"] == "voided"]
        assert len(settled) + len(voided) == 1
        assert customer.balance()["posted_nanos"] == 1000 - (600 if settled else 0)
        others = {(answer["verdict"], answer.get("code", answer.get("state"))) for answer in answers}
        assert others <= {
            *([("settled", None), ("unchanged", "settled")] if settled else []),
            *([("voided", None), ("unchanged", "voided"), ("refused", "hold_voided")] if voided else []),
        }
        assert books.broken_rules(customer.account_id) == []


def test_an_overdue_hold_that_is_settled_voided_and_swept_at_once_is_settled_late_once(
    books: Books, crowd: Crowd
) -> None:
    for _ in range(5):
        customer = make_customer(books, credit=1000)
        hold_id = customer.admitted(tokens=1000, lifetime_s=60)
        books.pass_time(seconds=61)
        settle: Call = ("settle", {"generation_id": hold_id, **settlement(books, 600)})
        others: list[Call] = [
            ("void_hold", {"generation_id": hold_id}),
            ("read_balance", {"account_id": customer.account_id}),
        ]
        answers = crowd.call_at_once(customer.account_id, [settle, *others] * 6)
        settled = [answer for answer in answers if answer.get("verdict") == "settled"]
        assert len(settled) == 6
        assert Counter(answer["is_repeated"] for answer in settled) == {False: 1, True: 5}
        assert all(answer["is_late"] and answer["charged_nanos"] == 600 for answer in settled)
        assert not [answer for answer in answers if answer.get("verdict") == "voided"]
        assert customer.balance()["posted_nanos"] == 400


def test_a_sweep_passes_busy_wallets_over_and_never_waits(books: Books, crowd: Crowd) -> None:
    busy, idle = make_customer(books, credit=1000), make_customer(books, credit=1000)
    holds = busy.admitted(tokens=10, lifetime_s=60), idle.admitted(tokens=10, lifetime_s=60)
    books.pass_time(seconds=61)
    with books.owner.transaction():
        books.rows("select from gateway.wallets where account_id = %s for no key update", busy.account_id)
        assert books.call("expire_holds")["wallets"] >= 1
    states = [books.value("select state from gateway.holds where id = %s", hold_id) for hold_id in holds]
    assert states == ["held", "expired"]
    books.call("expire_holds")
    assert books.value("select state from gateway.holds where id = %s", holds[0]) == "expired"


def test_admissions_at_once_with_one_id_make_one_hold(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books, credit=10 * PRICE)
    hold_id = uuid.uuid4()
    answers = crowd.call_at_once(customer.account_id, [_admission(customer, hold_id)] * 30)
    assert {(answer["verdict"], answer["hold"]["amount_nanos"]) for answer in answers} == {("admitted", PRICE)}
    assert customer.balance()["available_nanos"] == 9 * PRICE
    assert books.value("select requests_used from gateway.api_keys where id = %s", customer.key_id) == 1


def test_extensions_at_once_take_the_largest_total_once(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books, credit=10 * PRICE)
    hold_id = customer.admitted(tokens=PRICE)
    price_id = settlement(books, 0)["price_id"]
    calls: list[Call] = [
        ("extend_hold", {"generation_id": hold_id, "price_id": price_id, "quantities": {"input_tokens": total}})
        for total in range(PRICE, 3 * PRICE, 50)
    ]
    answers = crowd.call_at_once(customer.account_id, calls)
    assert {answer["verdict"] for answer in answers} == {"extended"}
    assert customer.balance()["held_nanos"] == 3 * PRICE - 50
    assert books.broken_rules(customer.account_id) == []


def test_take_backs_and_admissions_at_once_never_spend_the_same_money(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books, credit=10 * PRICE)
    calls: list[Call] = []
    for number in range(20):
        refund = {"account_id": customer.account_id, "amount_nanos": -PRICE, "kind": "refund"}
        calls += [
            _admission(customer, uuid.uuid4()),
            ("credit_account", {**refund, "idempotency_key": f"refund-{number}"}),
        ]
    answers = crowd.call_at_once(customer.account_id, calls)
    admitted = sum(answer["verdict"] == "admitted" for answer in answers)
    moved = -sum(answer.get("moved_nanos", 0) for answer in answers)
    balance = customer.balance()
    assert admitted * PRICE + moved == 10 * PRICE
    assert (balance["posted_nanos"], balance["held_nanos"]) == (admitted * PRICE, admitted * PRICE)
    assert balance["owed_nanos"] == 20 * PRICE - moved
    assert books.broken_rules() == []
