"""What an operator stops stays stopped at the next admission, and what the house loses in a day has a bound."""

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.admins import OPERATOR, as_admin, events_since, last_event, make_admin
from tests.sql.books import MODEL, Books
from tests.sql.claims import claim_of
from tests.sql.customers import Customer, make_customer, settlement
from tests.sql.gifts import ask, make_person, outcome, starting
from tests.sql.key_owners import receipt_of, refusal
from tests.sql.races import crowd_of

OFF = {"are_trials_stopped": False, "is_inference_stopped": False, "daily_loss_bound_nanos": None}
COUNTED_LOSSES = "select coalesce(sum(loss_nanos), 0)::bigint from gateway.house_losses where day = %s"
COUNTED_TRIALS = "select coalesce(sum(trial_nanos), 0)::bigint from gateway.house_losses where day = %s"
LOSSES_OF_LINES = """
    select coalesce(sum(shortfall_nanos + cost_excess_nanos
                        + case when waived_reason is null then 0 else provider_cost_nanos end), 0)::bigint
      from gateway.usage_lines
"""
# Every part of today, so that all settlements meet at them.
LOCK_LOSSES = """
    insert into gateway.house_losses (day, part, loss_nanos)
    select (clock_timestamp() at time zone 'UTC')::date, part, 0 from generate_series(0, 15) as part where %s > 0
    on conflict (day, part) do update set loss_nanos = gateway.house_losses.loss_nanos
"""


@pytest.fixture(autouse=True)
def _all_is_as_it_ships(books: Books) -> None:
    books.call("set_switches", admin=OPERATOR, changes=OFF)
    books.pass_time(days=1)


def _set(books: Books, **changes: Any) -> Any:
    answer = books.call("set_switches", admin=OPERATOR, changes=changes)
    assert answer["verdict"] == "switches", answer
    return answer["switches"]


def _lose(customer: Customer, amount: int) -> None:
    """Have a customer use more than he can pay."""
    held = customer.balance()["available_nanos"]
    answer = customer.settle(customer.admitted(tokens=held), held + amount)
    assert answer["shortfall_nanos"] == amount


def _on_trial(books: Books) -> Customer:
    person = make_person(books, credit=0)
    assert outcome(ask(books, starting(person))) == "trial"
    return person


def test_a_new_gateway_has_nothing_stopped_and_no_bound(own_ledger: Books) -> None:
    told = own_ledger.call("read_switches", admin=OPERATOR)
    nothing = {
        **OFF, "changed_at": None, "loss_today_nanos": 0, "trial_spend_today_nanos": 0, "is_loss_bound_passed": False,
    }  # fmt: skip
    assert told == {"switches": nothing, "verdict": "switches", "policy": None}


def test_stopped_inference_admits_nobody_and_goes_on_where_it_was(books: Books) -> None:
    customer = make_customer(books, credit=1_000)
    under_way = customer.admitted(tokens=10)
    _set(books, is_inference_stopped=True)
    counted = customer.counted()
    assert refusal(customer.admit(tokens=10)) == (503, "inference_stopped", {})
    assert customer.counted() == counted
    assert customer.extend(under_way, 20)["verdict"] == "extended"
    assert customer.settle(under_way, 20)["charged_nanos"] == 20
    _set(books, is_inference_stopped=False)
    assert customer.admit(tokens=10)["verdict"] == "admitted"


def test_what_was_paid_for_is_answered_again_though_inference_is_stopped(books: Books) -> None:
    customer = make_customer(books, credit=1_000)
    generation_id = customer.admitted(tokens=10, claim=claim_of("stopped"))
    customer.settle(generation_id, 10, answer="sealed")
    _set(books, is_inference_stopped=True)
    again = customer.admit(tokens=10, claim=claim_of("stopped"))
    assert (again["verdict"], again["answer"]) == ("replay", "sealed")


def test_stopped_trials_are_not_begun_and_those_that_run_go_on(books: Books) -> None:
    running, late = _on_trial(books), make_person(books)
    _set(books, are_trials_stopped=True)
    assert refusal(ask(books, starting(late))) == (503, "trials_stopped", {})
    assert running.admit(tokens=10)["verdict"] == "admitted"
    _set(books, are_trials_stopped=False)
    # Whoever was refused for it has not had his.
    assert outcome(ask(books, starting(late))) == "trial"


def test_a_loss_beyond_the_bound_pauses_trials_and_nobody_who_has_paid(books: Books) -> None:
    on_trial, payer, person = _on_trial(books), make_customer(books, credit=1_000), make_person(books)
    _set(books, daily_loss_bound_nanos=500)
    _lose(make_customer(books, credit=10), 499)
    assert on_trial.admit(tokens=10)["verdict"] == "admitted"
    _lose(make_customer(books, credit=10), 1)
    assert books.call("read_switches", admin=OPERATOR)["switches"]["is_loss_bound_passed"] is True
    assert refusal(on_trial.admit(tokens=10)) == (503, "trials_paused", {})
    assert outcome(ask(books, starting(person))) == "trials_stopped"
    assert payer.admit(tokens=10)["verdict"] == "admitted"


@pytest.mark.parametrize("end", ["next day", "higher bound", "no bound"])
def test_a_pause_ends_with_the_day_or_with_another_bound(books: Books, end: str) -> None:
    on_trial = _on_trial(books)
    _set(books, daily_loss_bound_nanos=500)
    _lose(make_customer(books, credit=10), 700)
    assert on_trial.admit(tokens=10)["code"] == "trials_paused"
    if end == "next day":
        books.set_time(books.now().replace(hour=0, minute=0))
        books.pass_time(days=1)
    else:
        _set(books, daily_loss_bound_nanos=701 if end == "higher bound" else None)
    assert on_trial.admit(tokens=10)["verdict"] == "admitted"


def test_a_loss_is_what_was_not_paid_what_a_provider_took_too_much_and_what_the_house_paid(books: Books) -> None:
    customer = make_customer(books, credit=1_000)
    before = books.call("read_switches", admin=OPERATOR)["switches"]["loss_today_nanos"]
    customer.settle(customer.admitted(tokens=10), 10)
    assert books.call("read_switches", admin=OPERATOR)["switches"]["loss_today_nanos"] == before
    customer.settle(customer.admitted(tokens=10), 10, reported_cost_nanos=17)
    customer.settle(customer.admitted(tokens=10), 10, waived_reason="crashed")
    _lose(customer, 30)
    assert books.call("read_switches", admin=OPERATOR)["switches"]["loss_today_nanos"] == before + 7 + 10 + 30
    assert books.value(COUNTED_LOSSES, books.now().date()) == before + 47


def test_trials_that_spend_the_bound_pause_and_nobody_who_has_paid(books: Books) -> None:
    farmers, payer = [_on_trial(books) for _ in range(3)], make_customer(books, credit=1_000)
    _set(books, daily_loss_bound_nanos=500)
    payer.settle(payer.admitted(tokens=400), 400)
    for farmer in farmers[:2]:
        farmer.settle(farmer.admitted(tokens=200), 200)
    _lose(make_customer(books, credit=10), 99)
    # Admitted before it, and settled all the same.
    held = farmers[2].admitted(tokens=50)
    told = books.call("read_switches", admin=OPERATOR)["switches"]
    assert (told["loss_today_nanos"], told["trial_spend_today_nanos"], told["is_loss_bound_passed"]) == (99, 400, False)
    farmers[2].settle(held, 1)
    assert refusal(farmers[0].admit(tokens=10)) == (503, "trials_paused", {})
    assert outcome(ask(books, starting(make_person(books)))) == "trials_stopped"
    assert payer.admit(tokens=10)["verdict"] == "admitted"
    assert books.call("take_loss_alarm") == {
        "is_due": True, "loss_nanos": 99, "trial_spend_nanos": 401, "bound_nanos": 500,
    }  # fmt: skip
    assert all(books.broken_rules(farmer.account_id) == [] for farmer in farmers)


def test_trial_credit_that_lapses_or_comes_back_is_not_spent(books: Books) -> None:
    person = _on_trial(books)
    person.admitted(tokens=100)
    before = books.value(COUNTED_TRIALS, books.now().date())
    books.pass_time(days=4)
    books.call("expire_trial", account_id=person.account_id)
    assert [
        books.value(COUNTED_TRIALS, day) for day in (books.now().date(), books.now().date() - timedelta(days=4))
    ] == [
        0,
        before,
    ]


def test_what_a_settlement_that_comes_again_spent_of_a_trial_counts_once(books: Books) -> None:
    person = _on_trial(books)
    held = person.admitted(tokens=100)
    for _ in range(3):
        person.settle(held, 70)
    assert books.value(COUNTED_TRIALS, books.now().date()) == 70


def test_a_settlement_that_comes_again_is_one_loss(books: Books) -> None:
    customer = make_customer(books, credit=10)
    generation_id = customer.admitted(tokens=10)
    for _ in range(3):
        customer.settle(generation_id, 25)
    assert books.value(COUNTED_LOSSES, books.now().date()) == 15


def test_losses_that_come_at_once_are_all_counted(own_ledger: Books) -> None:
    books = own_ledger
    customers = [make_customer(books, credit=10) for _ in range(12)]
    calls: list[tuple[str, dict[str, object]]] = [
        ("settle", {"generation_id": customer.admitted(tokens=10), **settlement(books, 15)}) for customer in customers
    ]
    with crowd_of(books, 12) as crowd:
        crowd.call_at_once(1, calls, lock=LOCK_LOSSES)
    assert books.rows("select sum(loss_nanos)::bigint from gateway.house_losses") == [(60,)]
    assert books.value(LOSSES_OF_LINES) == 60


def test_the_alarm_is_due_once_a_day_and_once_more_for_another_bound(books: Books) -> None:
    _set(books, daily_loss_bound_nanos=500)
    _lose(make_customer(books, credit=10), 400)
    assert books.call("take_loss_alarm")["is_due"] is False
    _lose(make_customer(books, credit=10), 100)
    assert books.call("take_loss_alarm") == {
        "is_due": True, "loss_nanos": 500, "trial_spend_nanos": 0, "bound_nanos": 500,
    }  # fmt: skip
    assert books.call("take_loss_alarm")["is_due"] is False
    _set(books, daily_loss_bound_nanos=450)
    assert books.call("take_loss_alarm")["is_due"] is True
    books.pass_time(days=1)
    assert books.call("take_loss_alarm")["is_due"] is False


def test_a_change_of_switches_is_written_down_and_none_where_nothing_changes(books: Books) -> None:
    admin = make_admin(books)
    before = last_event(books)
    for _ in range(2):
        books.call("set_switches", admin=as_admin(admin), changes={"are_trials_stopped": True})
    assert events_since(books, before) == [("switches_changed", None, admin.key_id, None, {"are_trials_stopped": True})]


def test_a_replayed_change_changes_nothing(books: Books) -> None:
    call = {"admin": OPERATOR, "changes": {"are_trials_stopped": True}, "receipt": receipt_of(str(uuid.uuid4()))}
    books.call("set_switches", **call)
    _set(books, are_trials_stopped=False)
    assert books.call("set_switches", **call)["is_replayed"] is True
    assert books.call("read_switches", admin=OPERATOR)["switches"]["are_trials_stopped"] is False


@pytest.mark.parametrize(
    "changes", [{"daily_loss_bound_nanos": 0}, {"daily_loss_bound_nanos": -1}, {"is_inference_stopped": None}]
)
def test_a_switch_that_says_nothing_is_not_set(books: Books, changes: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.IntegrityError):
        books.call("set_switches", admin=OPERATOR, changes=changes)


def test_a_switch_that_there_is_not_is_a_fault(books: Books) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        books.call("set_switches", admin=OPERATOR, changes={"all": True})


def test_an_unknown_model_is_told_stopped_too(books: Books) -> None:
    customer = make_customer(books, credit=1_000)
    _set(books, is_inference_stopped=True)
    assert customer.admit(tokens=10, models=["no/such", MODEL])["code"] == "inference_stopped"
