"""Everything at once on a few wallets, with the real clock: nothing deadlocks, and the books are right at the end."""

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.sql.books import MODEL, Books, call, connect_as_service
from tests.sql.claims import claim_of, retry_of
from tests.sql.customers import Customer, bounds_of, make_customer, settlement

SESSIONS = 12
SECONDS = 2.5
SEED = 7


def _storm(customers: list[Customer], usage: dict[str, object], seed: int, stop: threading.Event) -> list[Any]:
    books, chance = customers[0].books, random.Random(seed)
    holds: list[uuid.UUID] = []
    answers = []
    with connect_as_service(books.url) as session:
        while not stop.is_set():
            name, arguments = _choose(chance, chance.choice(customers), usage, holds)
            answers.append(call(session, name, **arguments))
    return answers


def _choose(
    chance: random.Random, customer: Customer, usage: dict[str, object], holds: list[uuid.UUID]
) -> tuple[str, dict[str, object]]:
    amount = chance.randint(1, 100)
    if not holds or chance.random() < 0.35:
        holds.append(uuid.uuid4())
        key: dict[str, object] = {"caller": customer.caller(), "models": [MODEL], "providers": None}
        key["claim"] = chance.choice([None, claim_of(f"k{amount % 7}", lifetime_s=1), retry_of(f"b{amount % 7}")])
        lifetime_s = chance.choice([0, 1, 60])
        return "admit", {"generation_id": holds[-1], "request": bounds_of(amount), "lifetime_s": lifetime_s, **key}
    # Ids are this session's own, so others meet them in no wallet but through the sweep.
    end: dict[str, object] = {"generation_id": chance.choice(holds[-4:])}
    credit = {"account_id": customer.account_id, "idempotency_key": uuid.uuid4().hex}
    calls: list[tuple[str, dict[str, object]]] = [
        ("settle", {**end, **usage, "quantities": {"input_tokens": amount}}),
        ("settle", {**end, **usage, "quantities": {"input_tokens": amount}, "answer": "sealed"}),
        ("void_hold", end),
        ("extend_hold", {**end, "price_id": usage["price_id"], "quantities": {"input_tokens": 2 * amount}}),
        ("credit_account", {**credit, "amount_nanos": 2 * amount, "kind": "purchase"}),
        ("credit_account", {**credit, "amount_nanos": -amount, "kind": "refund"}),
        ("read_balance", {"account_id": customer.account_id}),
        ("expire_holds", {}),
        ("erase_answers", {}),
    ]
    return chance.choice(calls)


def test_a_storm_of_all_calls_neither_deadlocks_nor_loses_money(own_ledger: Books) -> None:
    customers = [make_customer(own_ledger, credit=10_000) for _ in range(3)]
    usage, stop = settlement(own_ledger, 0), threading.Event()
    with ThreadPoolExecutor(SESSIONS) as threads:
        storms = [threads.submit(_storm, customers, usage, SEED + number, stop) for number in range(SESSIONS)]
        time.sleep(SECONDS)
        stop.set()
    answers = [answer for storm in storms for answer in storm.result(timeout=30)]
    assert {answer.get("code") for answer in answers if answer.get("verdict") == "refused"} <= {
        "insufficient_credits",
        "idempotency_in_progress",
        "answer_not_stored",
        "hold_ended",
        "hold_voided",
        "unknown_hold",
    }
    settled = [answer for answer in answers if answer.get("verdict") == "settled"]
    assert settled
    assert [answer for answer in answers if answer.get("verdict") == "replay"]
    assert own_ledger.value("select count(*) from gateway.holds where superseded_by is not null") > 0
    assert all(answer["charged_nanos"] + answer["shortfall_nanos"] == answer["cost_nanos"] for answer in settled)
    assert own_ledger.broken_rules() == []
